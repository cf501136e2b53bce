//! Running futures without a runtime: one to its end, or several in an order that the test chooses.

use std::{
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll, Waker},
};

/// Gives way once: every fake port call is a point where somebody else may come between.
pub async fn give_way() {
    let mut given = false;
    std::future::poll_fn(|context| {
        if given {
            return Poll::Ready(());
        }
        given = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

/// Runs a future that only ever waits for fakes.
pub fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// A future that one of several callers runs.
pub type Task<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// Runs all tasks to their ends. At each step `choose(n)` picks which of the `n` that still run
/// moves on to its next port call. Results keep the order of the tasks.
pub fn interleave<T>(tasks: Vec<Task<'_, T>>, mut choose: impl FnMut(usize) -> usize) -> Vec<T> {
    let mut results: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    let mut running: Vec<(usize, Task<'_, T>)> = tasks.into_iter().enumerate().collect();
    let mut context = Context::from_waker(Waker::noop());
    while !running.is_empty() {
        let chosen = choose(running.len()) % running.len();
        let (index, task) = &mut running[chosen];
        if let Poll::Ready(value) = task.as_mut().poll(&mut context) {
            results[*index] = Some(value);
            drop(running.remove(chosen));
        }
    }
    results.into_iter().flatten().collect()
}

/// Calls `run` once for every possible schedule: `run` is given the `choose` of [`interleave`],
/// and takes every branch of every choice exactly once over all calls. Returns how many there were.
pub fn every_schedule(mut run: impl FnMut(&mut dyn FnMut(usize) -> usize)) -> usize {
    let mut path: Vec<(usize, usize)> = Vec::new();
    for count in 1.. {
        let mut depth = 0;
        run(&mut |options| {
            if depth == path.len() {
                path.push((0, options));
            }
            depth += 1;
            path[depth - 1].0
        });
        while path.last().is_some_and(|(taken, options)| taken + 1 == *options) {
            path.pop();
        }
        match path.last_mut() {
            Some((taken, _)) => *taken += 1,
            None => return count,
        }
    }
    unreachable!("the loop ends when the last branch has been taken")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_schedule_is_run_once() {
        let mut seen = std::collections::BTreeSet::new();
        let count = every_schedule(|choose| {
            let order = std::cell::RefCell::new(Vec::new());
            let step = |name| {
                let order = &order;
                async move {
                    order.borrow_mut().push(name);
                    give_way().await;
                    order.borrow_mut().push(name);
                }
            };
            let tasks: Vec<Task<'_, ()>> = vec![Box::pin(step('a')), Box::pin(step('b'))];
            interleave(tasks, choose);
            seen.insert(order.into_inner());
        });
        assert_eq!((seen.len(), count), (6, 6));
    }
}
