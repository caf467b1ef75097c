"""The dashboard of pgalmanac; it needs `pgalmanac` and Textual, and `pgalmanac` does not need it."""
