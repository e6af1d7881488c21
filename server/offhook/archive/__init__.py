"""What is kept of calls: the store in SQL, and recordings in a folder or in S3."""
