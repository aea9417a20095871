"""An Amazon Lightsail that the real boto3 and the real AWS CLI can talk to: instances, snapshots and add-ons."""
