//! klamm's protocol core: a Kafka client as a state machine without I/O
