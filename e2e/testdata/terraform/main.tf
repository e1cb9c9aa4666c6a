# State in S3, credentials from wherever the environment says; terraform_data
# is built in, so no provider plugin is needed. The first step outlives several
# rotations, so that the state is written with later credentials than those
# that init saw.
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
