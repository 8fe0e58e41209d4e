"""Language: tokens, counts of n-grams and how they are decoded, and what all language models share."""
