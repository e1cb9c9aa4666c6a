package stsapi

import (
	"cmp"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/smithy-go/logging"
	smithymiddleware "github.com/aws/smithy-go/middleware"

	"brs-exec/internal/source/awserr"
)

// Settings returns the clients' settings as config.LoadDefaultConfig resolves them (a test compares
// the two), without its credentials and its reading of the CA bundle, which takes 5 ms. region, if
// given, beats what env and shared say; version goes into the user agent.
func Settings(env *config.EnvConfig, shared *config.SharedConfig, region, version string, h *HTTP) aws.Config {
	agent := middleware.AddUserAgentKeyValue("brs-exec", cmp.Or(version, "dev"))
	c := aws.Config{
		Region:                     cmp.Or(region, env.Region, shared.Region),
		AppID:                      cmp.Or(env.AppID, shared.AppID),
		HTTPClient:                 h,
		Retryer:                    func() aws.Retryer { return retryForClock{} },
		Logger:                     logging.Nop{},
		ConfigSources:              []any{*env, *shared},
		APIOptions:                 []func(*smithymiddleware.Stack) error{agent},
		DisableClockSkewCorrection: isTrue(env.DisableClockSkewCorrection, shared.DisableClockSkewCorrection),
		RestrictFilePermissions:    cmp.Or(env.RestrictFilePermissions, aws.RestrictFilePermissionsUserReadWrite),
	}
	ignored := isTrue(env.IgnoreConfiguredEndpoints, shared.IgnoreConfiguredEndpoints)
	if url := cmp.Or(env.BaseEndpoint, shared.BaseEndpoint); url != "" && !ignored {
		c.BaseEndpoint = &url
	}
	return c
}

func isTrue(env, shared *bool) bool {
	return aws.ToBool(cmp.Or(env, shared)) // the first that is set
}

// retryForClock leaves all retries to the caller's one layer, but for a request that a wrong local
// clock has spoilt: the SDK has learnt STS's time from the refusal, and signs the second one by it.
type retryForClock struct{ aws.NopRetryer }

func (retryForClock) MaxAttempts() int                             { return 2 }
func (retryForClock) RetryDelay(int, error) (time.Duration, error) { return 0, nil }
func (retryForClock) IsErrorRetryable(err error) bool {
	if code, _ := awserr.Code(err); code == "" {
		return false
	}
	// It is retry.retryableClockSkewError, which is unexported; no type of STS's has the method.
	var r interface{ RetryableError() bool }
	return errors.As(err, &r) && r.RetryableError()
}
