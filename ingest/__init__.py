"""From feeds to stored, published events: settings, records, feeds, broker, storage, worker and command line."""
