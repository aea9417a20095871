"""D2: a Terraform state file lost and recovered from its versions."""
