"""Clock, limiter, engine, transport, page fetchers and listings."""
