"""From feeds to published articles: catalogue, fetch, parse (out of process), identity, full text, schedule."""
