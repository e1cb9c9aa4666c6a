package childenv

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
)

// javaVariables are read by the JVM itself (the first three) or by the launch scripts of build tools and Hadoop.
var javaVariables = []string{
	"JAVA_TOOL_OPTIONS", "_JAVA_OPTIONS", "JDK_JAVA_OPTIONS",
	"JAVA_OPTS", "MAVEN_OPTS", "GRADLE_OPTS", "SBT_OPTS", "CATALINA_OPTS", "HADOOP_OPTS", "SPARK_SUBMIT_OPTS",
}

// javaProperties name an identity, or where to find one. The AWS SDKs for Java read each before its variable
// (SdkSystemSetting in v2, SystemPropertiesCredentialsProvider in v1).
var javaProperties = []string{
	"aws.accessKeyId", "aws.secretAccessKey", "aws.secretKey", "aws.sessionToken", "aws.profile",
	"aws.sharedCredentialsFile", "aws.configFile", "aws.roleArn", "aws.webIdentityTokenFile",
	"aws.containerCredentialsPath", "aws.containerCredentialsFullUri",
	"aws.containerAuthorizationToken", "aws.containerAuthorizationTokenFile",
}

// Warnings tells what outranks the endpoint and can't be taken out of the child's environment, since it stands among
// options that the child needs. At most one line, and never a value.
func Warnings(parent []string) []string {
	env := environ{parent, runtime.GOOS == "windows"}
	var found []string
	for _, name := range javaVariables {
		if props := javaIdentity(env.get(name)); len(props) > 0 {
			found = append(found, name+" ("+strings.Join(props, ", ")+")")
		}
	}
	if found == nil {
		return nil
	}
	return []string{fmt.Sprintf("java programs will not ask the endpoint: system properties outrank it in %s", strings.Join(found, ", "))}
}

func javaIdentity(options string) []string {
	if !strings.Contains(options, "-Daws.") { // nearly always
		return nil
	}
	var props []string
	for _, word := range strings.FieldsFunc(options, func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'", r) }) {
		option, _, _ := strings.Cut(word, "=")
		name, ok := strings.CutPrefix(option, "-D")
		if ok && slices.Contains(javaProperties, name) && !slices.Contains(props, "-D"+name) {
			props = append(props, "-D"+name)
		}
	}
	return props
}
