import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.services.securitytoken.AWSSecurityTokenService;
import com.amazonaws.services.securitytoken.AWSSecurityTokenServiceClientBuilder;
import com.amazonaws.services.securitytoken.model.GetCallerIdentityRequest;
import com.amazonaws.util.VersionInfoUtils;

/** The default chain of the AWS SDK for Java 1, which does not know AWS_ENDPOINT_URL_STS. */
public final class Who {
    public static void main(String[] args) throws Exception {
        AWSSecurityTokenService sts = AWSSecurityTokenServiceClientBuilder.standard()
                .withEndpointConfiguration(new EndpointConfiguration(System.getenv("AWS_ENDPOINT_URL_STS"), System.getenv("AWS_REGION")))
                .build();
        Loop.run(args, VersionInfoUtils.getVersion(), () -> sts.getCallerIdentity(new GetCallerIdentityRequest()).getArn());
    }
}
