//! The operator's hook: a program that is run for every operator event. It is never in the way: sessions do
//! not wait for it, a slow one is ended, and what it cannot keep up with is dropped and counted.

use anyhow::{Context as _, Result};
use openrdms_broker::OperatorEvent;
use openrdms_config::Events;
use std::process::Stdio;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;

/// Runs the hook for each event until `stop`. Without a hook there is nothing to do.
pub(crate) async fn run(config: Events, mut events: Receiver<OperatorEvent>, stop: CancellationToken) {
    if config.hook.is_empty() {
        return stop.cancelled().await;
    }
    loop {
        let event = tokio::select! {
            () = stop.cancelled() => return,
            event = events.recv() => event,
        };
        match event {
            Ok(event) => {
                let told = tokio::time::timeout(config.hook_timeout, tell(&config.hook, &event)).await;
                match told {
                    Ok(Ok(())) => {}
                    Ok(Err(error)) => {
                        tracing::warn!(id = event.id, error = format!("{error:#}"), "the event hook failed");
                    }
                    Err(_) => tracing::warn!(id = event.id, limit = ?config.hook_timeout,
                        "the event hook was ended: it took too long"),
                }
            }
            Err(RecvError::Lagged(lost)) => {
                tracing::warn!(lost, "the event hook is too slow: events were dropped")
            }
            Err(RecvError::Closed) => return stop.cancelled().await,
        }
    }
}

/// Runs the program once. Dropping the future ends it.
async fn tell(hook: &[String], event: &OperatorEvent) -> Result<()> {
    let (program, arguments) = hook.split_first().context("the hook is empty")?;
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {program}"))?;
    if let Some(mut input) = child.stdin.take() {
        // a hook that does not read its input is as good as any
        let _ = input.write_all(&line).await;
    }
    let status = child.wait().await?;
    anyhow::ensure!(status.success(), "{program} ended with {status}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use openrdms_broker::{ClientFacts, Timestamp, UserName};
    use std::time::Duration;
    use tokio::sync::broadcast;

    fn event(n: i64) -> OperatorEvent {
        let user = UserName::new("TEST", "alice").unwrap();
        OperatorEvent::refused(&user, &ClientFacts::default(), "no desktop".into(), Timestamp(n))
    }

    async fn run_with(
        script: &str,
        limit: Duration,
        events: usize,
        lines: usize,
        file: &std::path::Path,
    ) -> String {
        let hook = ["/bin/sh", "-c", script, "hook"].map(str::to_owned).to_vec();
        let hook = [hook, vec![file.to_string_lossy().into_owned()]].concat();
        let (sender, receiver) = broadcast::channel(64);
        let stop = CancellationToken::new();
        let task = tokio::spawn(run(Events { hook, hook_timeout: limit }, receiver, stop.clone()));
        for n in 0..events {
            sender.send(event(i64::try_from(n).unwrap())).unwrap();
        }
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        let told = loop {
            let text = std::fs::read_to_string(file).unwrap_or_default();
            if text.lines().count() >= lines {
                break text;
            }
            assert!(tokio::time::Instant::now() < deadline, "the hook was not told: {text:?}");
            tokio::time::sleep(Duration::from_millis(10)).await; // polls a condition
        };
        stop.cancel();
        task.await.unwrap();
        told
    }

    #[tokio::test]
    async fn every_event_comes_in_order_as_a_line_of_json() {
        let dir = tempfile::tempdir().unwrap();
        let told = run_with("cat >>\"$1\"", Duration::from_secs(10), 5, 5, &dir.path().join("f")).await;
        let times: Vec<i64> = told
            .lines()
            .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap())
            .map(|json| {
                assert_eq!((&json["id"], &json["event"]), (&1100.into(), &"connection-refused".into()));
                json["at"].as_i64().unwrap()
            })
            .collect();
        assert_eq!(times, [0, 1, 2, 3, 4]);
    }

    #[tokio::test]
    async fn a_hook_that_hangs_is_ended_and_the_next_event_still_comes() {
        let dir = tempfile::tempdir().unwrap();
        let script = "echo begun >>\"$1\"; exec sleep 1000";
        let told = run_with(script, Duration::from_millis(300), 2, 2, &dir.path().join("f")).await;
        assert_eq!(told, "begun\nbegun\n");
    }
}
