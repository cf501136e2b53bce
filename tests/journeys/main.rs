//! Whole journeys over HTTP, through a stack in memory: the real adapters, the real routes.

mod administration;
mod anywhere;
mod emails;
mod enumeration;
mod first_path;
mod idempotency;
mod leaks;
mod local_stack;
mod pace;
mod pairs;
mod prelude;
mod privileges;
mod receipts;
mod refusals;
mod sessions;
mod zap;
