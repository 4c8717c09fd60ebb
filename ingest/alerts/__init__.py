"""Alerts: saved filters whose incidents go to a webhook, by e-mail, or into an Atom feed. See docs/alerts.md.

incidents ─► decide (what is told, by what was told before) ─► told, deliveries (one transaction) ─► webhook, mail
                                                                 └► atom (served by `ingest.api`)
"""
