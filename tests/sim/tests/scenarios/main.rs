//! Named scenarios over the whole client: bugs that other clients shipped, by their number in the catalogue
//! (`docs/scenarios.md`). Those of the first priority run under 16 seeds,
//! which draw how the network cuts and delays, others under fewer.

mod codecs;
mod commits;
mod committed;
mod consumer;
mod coordinators;
mod dropped;
mod groups;
mod idempotence;
mod idempotence_epochs;
mod idle;
mod interceptors;
mod links;
mod metadata;
mod producer;
mod producer_batches;
mod producer_choice;
mod producer_fences;
mod producer_memory;
mod producer_topics;
mod records;
mod rig;
mod transactions;
mod transactions_partners;
mod two_phase;
