# State in S3, credentials from wherever the environment says. terraform_data is
# built in: no provider plugin is needed.
terraform {
  backend "s3" {
    bucket                     = "conformance"
    region                     = "us-east-1"
    use_path_style             = true
    use_lockfile               = true
    skip_metadata_api_check    = true
    skip_requesting_account_id = false
  }
}

variable "steps" {
  default = 1
}

# One after another (-parallelism=1): terraform stores its state every 20 s, when a step has ended.
resource "terraform_data" "step" {
  count = var.steps
  provisioner "local-exec" {
    command = "sleep 2"
  }
}
