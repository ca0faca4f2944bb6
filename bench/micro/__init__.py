"""The steps of one request, each by itself: run by `make bench-micro`, outside the tests."""
