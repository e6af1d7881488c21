"""What our HTTP servers share: bodies with limits, failures in OpenAI's shape."""
