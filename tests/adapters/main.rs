//! Every adapter keeps its port's promises: against fakes, against an embedded DynamoDB and the
//! local sink, and, where `.ci/run` starts them, against AWS's DynamoDB Local and moto. And what
//! adapters do when the other side is slow, silent or refuses.

mod capacity;
mod connections;
mod couriers;
mod doctor;
mod guard;
mod histories;
mod keyring;
mod ledgers;
mod moto;
mod outputs;
mod peer;
mod proxy;
mod report;
