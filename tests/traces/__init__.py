"""The same scripts, played to the official JavaScript SDK and to ours."""
