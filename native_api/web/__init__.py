"""HTTP without nouns: endpoints, surfaces and the one door every request passes."""
