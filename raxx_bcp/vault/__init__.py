"""D3: the daily export of the Infisical vault, from the walk to the verified object in S3."""
