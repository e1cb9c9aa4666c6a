package source

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials/processcreds"
)

// process runs a credential_process.
func (b *builder) process(command, from string) aws.CredentialsProvider {
	return b.named(from, "", processcreds.NewProvider(command))
}
