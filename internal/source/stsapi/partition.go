package stsapi

import "strings"

// partitions, each with how its regions begin and one of them in which STS is on for every account.
// https://docs.aws.amazon.com/general/latest/gr/sts.html
var partitions = [...]struct{ name, prefix, region string }{
	{"aws-cn", "cn-", "cn-north-1"},
	{"aws-us-gov", "us-gov-", "us-gov-west-1"},
	{"aws-iso", "us-iso-", "us-iso-east-1"},
	{"aws-iso-b", "us-isob-", "us-isob-east-1"},
	{"aws-iso-e", "eu-isoe-", "eu-isoe-west-1"},
	{"aws-iso-f", "us-isof-", "us-isof-south-1"},
	{"aws-eusc", "eusc-", "eusc-de-east-1"},
}

// RegionOf is the region in which STS is asked for a role of partition if no region is set.
func RegionOf(partition string) string {
	for _, p := range partitions {
		if p.name == partition {
			return p.region
		}
	}
	return "us-east-1"
}

// PartitionOf is the partition in which region lies.
func PartitionOf(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.prefix) {
			return p.name
		}
	}
	return "aws"
}

// PartitionOfARN is the partition that arn names; "" if it is no ARN.
func PartitionOfARN(arn string) string {
	if f := strings.SplitN(arn, ":", 3); len(f) == 3 {
		return f[1]
	}
	return ""
}

// IsRegion reports whether s can be a region's name, which becomes part of a host name.
func IsRegion(s string) bool {
	return len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-") == "" &&
		!strings.HasPrefix(s, "-") && !strings.HasSuffix(s, "-")
}
