package childenv

import (
	"maps"
	"runtime"
	"slices"
	"strings"

	"brs-exec/internal/awsconfig"
)

// A Rival is something of the parent's that outranks the endpoint for some SDK, and what is done
// about it. It holds no value.
type Rival struct {
	Name string // the variables, or the section of a file
	Key  string // of a section, by which it yields credentials; "": Name are variables
	In   string // the SDKs in which it does
	Why  string
	Does string // what happens to it in the child's environment
}

// Rivals says what of the parent's environment and of its two shared files would outrank the
// endpoint, were it left where it is. Variables for which the table gives the same reason are one
// Rival.
func Rivals(parent []string, config, credentials []byte) []Rival {
	env := environ{parent, runtime.GOOS == "windows"}
	rivals := []Rival{}
	for _, v := range variables {
		if !env.outranked(v) {
			continue
		}
		same := func(r Rival) bool { return r.In == v.readers && r.Why == v.why }
		if i := slices.IndexFunc(rivals, same); i >= 0 {
			rivals[i].Name += ", " + v.name
			continue
		}
		does := "unset"
		if v.name == "BOTO_CONFIG" {
			does = "set to a file without a [Credentials] section"
		}
		rivals = append(rivals, Rival{Name: v.name, In: v.readers, Why: v.why, Does: does})
	}
	for i, content := range [][]byte{config, credentials} {
		if key, leaks := leakingDefault(content); leaks {
			rivals = append(rivals, Rival{
				Name: "[default] in the " + []string{"config", "credentials"}[i] + " file", Key: key, In: fileSDKs,
				Why:  "a default profile with credentials outranks the endpoint",
				Does: "left out of the file that the command is given"})
		}
	}
	return rivals
}

// outranked says whether an SDK would take an identity from v in this environment.
func (e environ) outranked(v variable) bool {
	prefix, isPrefix := strings.CutSuffix(e.fold(v.name), "*")
	return v.kind >= outranks && slices.ContainsFunc(e.list, func(entry string) bool {
		name, value, ok := e.split(entry)
		return ok && (value != "" || v.kind == outranksEmpty) &&
			(name == prefix || isPrefix && strings.HasPrefix(name, prefix))
	})
}

// credentialKeys make a profile yield credentials, by themselves or with others of the list.
var credentialKeys = set(`aws_access_key_id aws_secret_access_key aws_session_token aws_security_token
	role_arn source_profile credential_source credential_process web_identity_token_file
	sso_session sso_start_url sso_account_id sso_role_name login_session`)

// LeakingDefault says whether a [default] in either file holds credentials, and under which key. A
// child that reads these files would in most SDKs be that identity, not the endpoint's.
//
// It is stricter than any one SDK: [DEFAULT], which Python applies to every profile, counts, and
// so does whatever one of them might take for the header or for the key. id is what botocore reads.
func LeakingDefault(id *awsconfig.Identity, config, credentials []byte) (key string, leaks bool) {
	for _, key := range slices.Sorted(maps.Keys(id.Profiles[awsconfig.Default])) {
		if credentialKeys[key] {
			return key, true
		}
	}
	if key, leaks := leakingDefault(config); leaks {
		return key, true
	}
	return leakingDefault(credentials)
}

func leakingDefault(file []byte) (key string, leaks bool) {
	inDefault := false
	for _, raw := range awsconfig.Lines(file) {
		line := awsconfig.Trim(raw)
		switch {
		case strings.HasPrefix(line, "[") && maybeDefault(line):
			inDefault = true
		case isHeader(raw):
			inDefault = false
		}
		if !inDefault {
			continue
		}
		for _, separators := range []string{"=:", "="} { // JS and Java know no ":"
			key := line[:max(0, strings.IndexAny(line, separators))]
			if key = strings.ToLower(strings.TrimSpace(key)); credentialKeys[key] {
				return key, true
			}
		}
	}
	return "", false
}

// isHeader says whether every SDK takes the line for a header. To Python one that is indented goes on
// with the value above it, and [x = y is a setting; to others [] names nothing.
func isHeader(line string) bool {
	inner, after, ok := strings.Cut(strings.TrimPrefix(line, "["), "]")
	after = strings.TrimSpace(after)
	return strings.HasPrefix(line, "[") && ok && strings.TrimSpace(inner) != "" &&
		(after == "" || after[0] == '#' || after[0] == ';')
}

// maybeDefault says whether any SDK might take the header for the default profile's: Python stops
// at the last bracket, Go at a comment; some drop quotes, some don't.
func maybeDefault(header string) bool {
	inner, _, _ := strings.Cut(header[1:], "]")
	inner = strings.NewReplacer(`"`, "", `'`, "", `\`, "").Replace(strings.ToLower(inner))
	words := strings.Fields(inner)
	return slices.Equal(words, []string{awsconfig.Default}) ||
		len(words) == 2 && strings.HasPrefix(words[0], "profile") && words[1] == awsconfig.Default
}

// javaVariables are read by the JVM itself (the first three) or by the launch scripts of build
// tools and Hadoop.
var javaVariables = strings.Fields(`JAVA_TOOL_OPTIONS _JAVA_OPTIONS JDK_JAVA_OPTIONS
	JAVA_OPTS MAVEN_OPTS GRADLE_OPTS SBT_OPTS CATALINA_OPTS HADOOP_OPTS SPARK_SUBMIT_OPTS`)

// javaProperties name an identity, or where to find one. The AWS SDKs for Java read each before
// its variable (SdkSystemSetting in v2, SystemPropertiesCredentialsProvider in v1).
var javaProperties = strings.Fields(`aws.accessKeyId aws.secretAccessKey aws.secretKey aws.sessionToken
	aws.profile aws.sharedCredentialsFile aws.configFile aws.roleArn aws.webIdentityTokenFile
	aws.containerCredentialsPath aws.containerCredentialsFullUri
	aws.containerAuthorizationToken aws.containerAuthorizationTokenFile`)

// Warnings tells what outranks the endpoint and can't be taken out of the child's environment,
// since it stands among options that the child needs. At most one line, and never a value.
func Warnings(parent []string) []string {
	env := environ{parent, runtime.GOOS == "windows"}
	var found []string
	for _, name := range javaVariables {
		if options := identityOptions(env.get(name)); options != nil {
			found = append(found, name+" ("+strings.Join(options, ", ")+")")
		}
	}
	if found == nil {
		return nil
	}
	return []string{"java programs will not ask the endpoint: system properties outrank it in " +
		strings.Join(found, ", ")}
}

// identityOptions lists those of a JVM's options that set one of javaProperties.
func identityOptions(options string) (found []string) {
	if !strings.Contains(options, "-Daws.") { // nearly always
		return nil
	}
	between := func(r rune) bool { return strings.ContainsRune(" \t\r\n\"'", r) }
	for _, word := range strings.FieldsFunc(options, between) {
		option, _, _ := strings.Cut(word, "=")
		name, ok := strings.CutPrefix(option, "-D")
		if ok && slices.Contains(javaProperties, name) && !slices.Contains(found, option) {
			found = append(found, option)
		}
	}
	return found
}
