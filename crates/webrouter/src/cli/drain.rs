//! `webrouter drain IP:PORT`: out of service, so that it can be stopped without a lost request.

use std::time::{Duration, Instant};

use hyper::StatusCode;
use webrouter_admin_api::{Drained, paths};
use webrouter_routing::duration;
use webrouter_routing::endpoint::Endpoint;

use super::client::Refused;
use super::{Instance, Verdict, print, print_json};

/// Well when no request is left, or when nobody asked to wait for that.
pub(super) async fn drain(instance: &Instance, endpoint: Endpoint, wait: Option<Duration>) -> anyhow::Result<Verdict> {
    let until = wait.map(|wait| Instant::now() + wait);
    let path = paths::endpoint_drain(&endpoint.to_string());
    let mut drained: Drained = instance.post(&path, &[]).await?;
    tell(instance, &begun(&drained))?;
    while drained.in_flight > 0 {
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let Some(left) = left.filter(|left| *left >= SHORTEST) else { break };
        let before = drained.in_flight;
        drained = look_again(instance, &path, left.min(STEP), drained).await?;
        if drained.in_flight != before {
            tell(instance, &format!("{} requests in flight\n", drained.in_flight))?;
        }
    }
    if instance.json {
        print_json(&drained)?;
    }
    match (drained.in_flight, wait) {
        (0, _) => {
            tell(instance, "it can be stopped\n")?;
            Ok(Verdict::Well)
        }
        (_, None) => Ok(Verdict::Well),
        (_, Some(_)) => {
            tell(instance, "the time is up; it gets no new request, and the last ones go on\n")?;
            Ok(Verdict::Problem)
        }
    }
}

/// It gets requests again.
pub(super) async fn undo(instance: &Instance, endpoint: Endpoint) -> anyhow::Result<Verdict> {
    let drained: Drained = instance.delete(&paths::endpoint_drain(&endpoint.to_string())).await?;
    match instance.json {
        true => print_json(&drained),
        false => print(format!("{} of {} gets requests\n", drained.endpoint, drained.upstreams.join(", ")).as_bytes()),
    }
}

/// The instance answers when no request is left, or after `wait`.
async fn look_again(instance: &Instance, path: &str, wait: Duration, before: Drained) -> anyhow::Result<Drained> {
    match instance.post(path, &[("wait", &duration::render(wait))]).await {
        // It was there a moment ago: it has left the table, and its last request has ended.
        Err(error)
            if error.downcast_ref::<Refused>().is_some_and(|refused| refused.status == StatusCode::NOT_FOUND) =>
        {
            Ok(Drained { in_flight: 0, ..before })
        }
        answer => answer,
    }
}

fn begun(drained: &Drained) -> String {
    let Drained { endpoint, upstreams, in_flight, exhausted, .. } = drained;
    let mut text = format!("{endpoint} of {} gets no new request\n", upstreams.join(", "));
    if !exhausted.is_empty() {
        text.push_str(&format!("NOBODY ELSE serves {}: requests are answered 503\n", exhausted.join(", ")));
    }
    text + &format!("{in_flight} requests in flight\n")
}

/// Says something to people.
fn tell(instance: &Instance, text: &str) -> anyhow::Result<()> {
    if !instance.json {
        print(text.as_bytes())?;
    }
    Ok(())
}

/// The count is told so often at least, if it changes.
const STEP: Duration = Duration::from_secs(1);
/// Less than this cannot be asked for.
const SHORTEST: Duration = Duration::from_millis(1);
