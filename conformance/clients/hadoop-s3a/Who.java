import java.net.URI;
import org.apache.hadoop.conf.Configuration;
import org.apache.hadoop.fs.s3a.AWSCredentialProviderList;
import org.apache.hadoop.fs.s3a.auth.CredentialProviderListFactory;
import org.apache.hadoop.util.VersionInfo;
import software.amazon.awssdk.services.sts.StsClient;

/** What S3A's default fs.s3a.aws.credentials.provider makes of the environment, under the SDK's STS client. */
public final class Who {
    public static void main(String[] args) throws Exception {
        Configuration conf = new Configuration();
        conf.addResource("core-default.xml");
        AWSCredentialProviderList list = CredentialProviderListFactory.createAWSCredentialProviderList(new URI("s3a://conformance/"), conf);
        StsClient sts = StsClient.builder().credentialsProvider(list).build();
        Loop.run(args, VersionInfo.getVersion(), () -> sts.getCallerIdentity().arn());
    }
}
