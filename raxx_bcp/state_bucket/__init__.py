"""D2: is the Terraform state bucket as it should be? And the one switch: versioning on."""
