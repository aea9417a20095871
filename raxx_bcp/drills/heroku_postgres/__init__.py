"""D4: a backup of the customer database on Heroku, restored and compared with production."""
