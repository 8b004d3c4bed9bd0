"""Read prompts: templates and tokenizers."""
