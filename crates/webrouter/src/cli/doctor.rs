//! `webrouter doctor [APP[.PROC]]`: asks the instance; walks the hops that can be walked without it when it is down.

use std::fmt::Write as _;

use webrouter_admin::doctor::{self, Inputs, RouterInputs, Subject, Table};
use webrouter_admin_api::{Doctor, Hop, HopKind, HopVerdict, paths};
use webrouter_discovery::last_good::{self, ReadError};
use webrouter_discovery::status::SourceKind;
use webrouter_routing::name::SourceName;

use super::client::Absent;
use super::{Instance, Verdict, print, print_json};
use crate::app::{discovery_config, open_certificates, surroundings};
use crate::config::Config;

/// Well when no hop is broken and none is unknown.
pub(super) async fn doctor(instance: &Instance, subject: Option<Subject>) -> anyhow::Result<Verdict> {
    let path = subject.as_ref().map_or_else(|| paths::DOCTOR.to_owned(), |app| paths::doctor_app(&app.to_string()));
    let doctor = match instance.get_patiently(&path).await {
        Ok(doctor) => doctor,
        Err(error) => match error.downcast::<Absent>() {
            Ok(absent) => without_instance(instance, subject.as_ref(), &absent.to_string()).await?,
            Err(error) => return Err(error),
        },
    };
    match instance.json {
        true => print_json(&doctor)?,
        false => print(describe(&doctor)?.as_bytes())?,
    };
    Ok(if doctor.first.is_none() { Verdict::Well } else { Verdict::Problem })
}

/// An instance that is asked for by its address may be another machine's: what is here says nothing of it.
async fn without_instance(instance: &Instance, subject: Option<&Subject>, why: &str) -> anyhow::Result<Doctor> {
    if instance.admin.is_some() {
        return Ok(doctor::unexamined(subject, vec![down(why, None)]));
    }
    let config = instance.file.load()?;
    let (table, problem) = stored(&config).await;
    let inputs = Inputs {
        table,
        fleet: None,
        // Without them, what is broken is not told twice.
        certificates: open_certificates(&config).await.ok().flatten(),
        surroundings: surroundings(&config),
    };
    let before = vec![down(why, problem.as_ref())];
    Ok(match subject {
        Some(subject) => doctor::examine(&inputs, subject, before).await,
        None => doctor::examine_router(&inputs, &RouterInputs::default(), before).await,
    })
}

/// The table on disk, or what keeps it from being read.
async fn stored(config: &Config) -> (Table, Option<ReadError>) {
    let discovery = discovery_config(config);
    let directory = config.state.clone();
    let sources = [SourceKind::Lainlet, SourceKind::File].map(|kind| SourceName::new(kind.as_str()));
    let read = move || last_good::read(&directory, &discovery.defaults, &sources);
    match tokio::task::spawn_blocking(read).await {
        Ok(Ok(Some(stored))) => (Table::Stored(stored), None),
        Ok(Ok(None)) => (Table::None("nothing was stored yet".to_owned()), None),
        Ok(Err(error)) => (Table::None(error.to_string()), Some(error)),
        Err(panic) => (Table::None(panic.to_string()), None),
    }
}

fn down(why: &str, problem: Option<&ReadError>) -> Hop {
    let mut evidence = vec![why.to_owned()];
    let advice = match problem {
        Some(ReadError::InUse(_)) => {
            evidence.push("but a process has its state directory open".to_owned());
            "a process runs: see whether it hangs, and whether [admin] listen is what it was started with"
        }
        _ => "start it (`webrouter run`), and see in its log why it ended",
    };
    Hop {
        kind: HopKind::Instance,
        entry: None,
        source: None,
        verdict: HopVerdict::Broken,
        evidence,
        advice: Some(advice.to_owned()),
    }
}

fn describe(doctor: &Doctor) -> Result<String, std::fmt::Error> {
    let mut out = String::new();
    let subject = doctor.app.as_deref().unwrap_or("the router");
    match doctor.generation {
        Some(generation) => writeln!(out, "{subject}, generation {generation}, {}", doctor.at)?,
        None => writeln!(out, "{subject}, {}", doctor.at)?,
    }
    let mut told: Option<&str> = None;
    for hop in &doctor.hops {
        if hop.entry.as_deref() != told {
            told = hop.entry.as_deref();
            if let (Some(entry), Some(source)) = (told, &hop.source) {
                writeln!(out, "\n{entry} ({source})")?;
            }
        }
        let verdict = match hop.verdict {
            HopVerdict::Broken => "BROKEN",
            verdict => verdict.as_str(),
        };
        let mut lines = hop.evidence.iter();
        writeln!(out, "{:<13} {verdict:<8} {}", hop.kind.as_str(), lines.next().map_or("", String::as_str))?;
        for line in lines {
            writeln!(out, "{:<13} {:<8} {line}", "", "")?;
        }
        if let Some(advice) = &hop.advice {
            writeln!(out, "{:<13} {:<8} -> {advice}", "", "")?;
        }
    }
    let Some(first) = &doctor.first else {
        writeln!(out, "\nall is well")?;
        return Ok(out);
    };
    let of = first.entry.as_deref().map(|entry| format!(" of {entry}")).unwrap_or_default();
    writeln!(out, "\nfirst {}: {}{of}", first.verdict.as_str(), first.kind.as_str())?;
    if let Some(advice) = &first.advice {
        writeln!(out, "next step: {advice}")?;
    }
    Ok(out)
}
