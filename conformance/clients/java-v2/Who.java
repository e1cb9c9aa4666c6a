import software.amazon.awssdk.core.util.VersionInfo;
import software.amazon.awssdk.services.sts.StsClient;

/** The default chain of the AWS SDK for Java 2. */
public final class Who {
    public static void main(String[] args) throws Exception {
        StsClient sts = StsClient.create();
        Loop.run(args, VersionInfo.SDK_VERSION, () -> sts.getCallerIdentity().arn());
    }
}
