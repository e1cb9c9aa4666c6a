# Three aliases of the AWS provider and the S3 backend, each by a profile of its own: the
# usual way to reach several accounts. All else comes from the environment.
terraform {
  required_providers {
    aws = { source = "hashicorp/aws" }
  }
  backend "s3" {
    profile                 = "state"
    bucket                  = "conformance"
    key                     = "profiles.tfstate"
    use_path_style          = true
    skip_metadata_api_check = true
  }
}

provider "aws" {
  alias   = "network"
  profile = "network"
}

provider "aws" {
  alias   = "dns"
  profile = "dns"
}

provider "aws" {
  alias   = "data"
  profile = var.data
}

variable "data" {
  default = "data"
}

data "aws_caller_identity" "network" { provider = aws.network }
data "aws_caller_identity" "dns" { provider = aws.dns }
data "aws_caller_identity" "data" { provider = aws.data }

output "arns" {
  value = join(" ", [data.aws_caller_identity.network.arn, data.aws_caller_identity.dns.arn, data.aws_caller_identity.data.arn])
}
