# State in S3, and work that takes longer than the credentials live:
#
#   brs-exec --profile etl -- terraform apply
#
# Neither the backend nor a provider names a profile or keys: they ask the endpoint, again and
# again. The first resource stands for hours of work; the state is written behind it, with
# credentials that init has not seen. terraform_data is built in: no provider's plugin is needed.
terraform {
  backend "s3" {
    bucket                      = "brs-exec-state"
    key                         = "e2e/terraform.tfstate"
    region                      = "us-east-1"
    use_path_style              = true
    use_lockfile                = true
    skip_metadata_api_check     = true
    skip_requesting_account_id  = false
  }
}

resource "terraform_data" "slow" {
  provisioner "local-exec" {
    command = "sleep 17"
  }
}

resource "terraform_data" "after" {
  input      = "written after ${terraform_data.slow.id}"
}

output "after" {
  value = terraform_data.after.output
}
