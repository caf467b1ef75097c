"""The benchmark: pgalmanac and its peers at the same work on the same server, in interleaved runs."""
