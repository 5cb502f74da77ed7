//! Behaviour of the simulated disk that no other disk has.
