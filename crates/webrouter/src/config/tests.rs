use webrouter_proxy::tls::{ClientCertificates, Demand, Profile};
use webrouter_routing::policy::{self, Balance, Overrides, Policy, Wishes};

use super::*;

fn environment(pairs: &[(&str, &str)]) -> Environment {
    Environment::from_lookup(|name| {
        pairs.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
    })
}

fn parse(text: &str, pairs: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::parse(Path::new("webrouter.toml"), text, &environment(pairs))
}

const EXAMPLE: &str = include_str!("../../../../config/webrouter.example.toml");

/// The example with its commented-out keys (`#key = …`, `#[section]`; prose has a space) switched on, and with the TLS
/// listener that one of them needs.
fn example_with_everything() -> String {
    let on = |line: &str| match line.strip_prefix('#') {
        Some(rest) if rest.starts_with(|c: char| c.is_ascii_lowercase() || c == '[') => rest.to_owned(),
        _ => line.to_owned(),
    };
    let text: String = EXAMPLE.lines().map(|line| on(line) + "\n").collect();
    text.replace("\nhttps = []\n", "\nhttps = [\"0.0.0.0:443\"]\n")
}

#[test]
fn the_example_holds_the_defaults() {
    let example = parse(EXAMPLE, &[]).expect("the example is right");
    let defaults = parse("[source.lainlet]", &[]).expect("defaults");
    assert_eq!(example, defaults);
}

#[test]
fn the_example_names_every_key() {
    let text = example_with_everything();
    parse(&text, &[]).expect("every key of the example is known");
    let table: toml::Table = toml::from_str(&text).expect("TOML");
    check_keys("", &table);
}

/// Asks the reader which keys it knows in a section, by offering one that it does not, and looks for each.
fn check_keys(section: &str, table: &toml::Table) {
    let header = if section.is_empty() { String::new() } else { format!("[{section}]\n") };
    let error = toml::from_str::<raw::RawConfig>(&format!("{header}zzz = 1")).expect_err("zzz is unknown");
    let known: Vec<&str> = error.message().split('`').skip(3).step_by(2).collect();
    let written: Vec<&str> = table.keys().map(String::as_str).collect();
    for key in &known {
        assert!(written.contains(key), "config/webrouter.example.toml lacks `{key}` in [{section}]");
    }
    for (key, value) in table {
        if let toml::Value::Table(inner) = value {
            let path = if section.is_empty() { key.clone() } else { format!("{section}.{key}") };
            check_keys(&path, inner);
        }
    }
}

#[test]
fn graphite_is_on_where_its_host_is_known() {
    let lainlet = ("LAINLET_PORT", "9001");
    assert_eq!(parse("", &[lainlet]).expect("right").graphite, None);
    let variables = [
        lainlet,
        ("LAIN_DOMAIN", "lain.local"),
        ("GRAPHITE_HOST", "graphite.test"),
        ("GRAPHITE_PORT", "2004"),
        ("DEPLOYD_POD_INSTANCE_NO", "3"),
    ];
    let graphite = parse("", &variables).expect("right").graphite.expect("on");
    let told = (graphite.address.as_str(), graphite.domain.as_str(), graphite.instance.as_str());
    assert_eq!(told, ("graphite.test:2004", "lain.local", "3"));
}

#[test]
fn the_environment_wins_over_the_file() {
    let file = "[cluster]\ndomain = \"a.test\"\n[source.lainlet]\naddress = \"a:1\"\n[access_log]\ndirectory = \"/a\"";
    let config = parse(
        file,
        &[("LAIN_DOMAIN", "b.test"), ("LAINLET_ADDR", "b:2"), ("NGINX_LOG_PATH", "/b"), ("NGINX_SSL_PATH", "/c")],
    )
    .expect("good");
    assert_eq!(config.cluster.domain, Host::parse("b.test").ok());
    assert_eq!(config.lainlet.expect("a lainlet").address, "b:2");
    assert_eq!(config.access_log.sink, AccessLogSink::Directory("/b".into()));
    assert_eq!(config.tls.certificates, Path::new("/c"));
}

#[test]
fn lainlet_port_alone_is_a_source() {
    let config = parse("", &[("LAINLET_PORT", "9002"), ("LAIN_DOMAIN", "")]).expect("good");
    assert_eq!(config.lainlet.expect("a lainlet").address, "lainlet.lain:9002");
    assert_eq!(config.cluster.domain, None);
}

#[test]
fn address_and_port_of_lainlet_combine() {
    let check = |file: &str, pairs: &[(&str, &str)], expected: &str| {
        let config = parse(file, pairs).expect("good");
        assert_eq!(config.lainlet.expect("a lainlet").address, expected, "{file:?} {pairs:?}");
    };
    let file = "[source.lainlet]\naddress = \"a:1\"";
    check(file, &[("LAINLET_PORT", "2")], "a:2");
    check("[source.lainlet]\naddress = \"[::1]:1\"", &[("LAINLET_PORT", "2")], "[::1]:2");
    check(file, &[("LAINLET_ADDR", "b")], "b:9001");
    check(file, &[("LAINLET_ADDR", "b"), ("LAINLET_PORT", "2")], "b:2");
    check(file, &[("LAINLET_ADDR", "b:3"), ("LAINLET_PORT", "2")], "b:3");
}

#[test]
fn relative_paths_are_meant_from_the_file() {
    let config =
        Config::parse(Path::new("/etc/w/webrouter.toml"), "[source.file]\npath = \"apps.toml\"", &environment(&[]));
    assert_eq!(config.expect("good").file, Some(PathBuf::from("/etc/w/apps.toml")));
}

#[test]
fn tls_follows_from_its_section() {
    let text = "[listen]\nhttps = [\"[::]:443\"]\nexternal_https = [\"127.0.0.1:8443\"]\nh2c = true\n\
                proxy_protocol = [\"10.1.0.0/16\"]\n[tls]\ncertificates = \"ssl\"\ndefault = \"web\"\nprofile = \"modern\"\n\
                [tls.client_certificates.\"Demo.test\"]\nca = \"ca.crt\"\nmode = \"optional\"";
    let config = Config::parse(Path::new("/etc/w/webrouter.toml"), text, &environment(&[])).expect("good");
    let Listen { https, external_https, h2c, proxy_protocol, .. } = config.listen;
    assert_eq!((https, external_https), (vec!["[::]:443".parse().unwrap()], vec!["127.0.0.1:8443".parse().unwrap()]));
    assert_eq!((h2c, proxy_protocol), (true, vec!["10.1.0.0/16".parse().unwrap()]));
    let demand = ClientCertificates { ca: "/etc/w/ca.crt".into(), mode: Demand::Optional };
    let expected = TlsConfig {
        certificates: "/etc/w/ssl".into(),
        default: Some("web".to_owned()),
        profile: Profile::Modern,
        client_certificates: [(Host::parse("demo.test").unwrap(), demand)].into(),
    };
    assert_eq!(config.tls, expected);
}

#[test]
fn without_a_source_it_says_how_to_add_one() {
    let report = parse("", &[]).and_then(Config::with_source).expect_err("no source").report(Colour::Plain);
    assert!(report.contains("no source") && report.contains("[source.file]"), "{report}");
}

/// A mistake in the file: where it is reported (line:column), what is named, and the fix.
#[track_caller]
fn check(text: &str, place: &str, named: &str, fix: &str) {
    let report = parse(text, &[]).expect_err(text).report(Colour::Plain);
    assert!(report.contains(&format!("[webrouter.toml:{place}]")), "{place} is not the place in:\n{report}");
    // The report wraps its lines.
    let flat = report.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
    assert!(flat.contains(named), "{named:?} is not in:\n{report}");
    assert!(flat.contains(fix), "{fix:?} is not in:\n{report}");
}

#[test]
fn a_mistake_in_the_file_has_a_place_and_a_fix() {
    check("[listne]\nhttp = []", "1:2", "unknown key `listne`", "did you mean `listen`?");
    check("[listen]\nhtpp = []", "2:1", "unknown key `htpp`", "did you mean `http`?");
    check("[listen]\nxyzzy = []", "2:1", "unknown key `xyzzy`", "remove it; known here: `http`");
    check("[listen]\nhttp = [\"0.0.0.0:80\", \"80\"]", "2:23", "`80` is not an address", "\"0.0.0.0:80\"");
    check("[listen]\nhttp = \"0.0.0.0:80\"", "2:8", "expected a list, found a text", "[\"0.0.0.0:80\"]");
    check("[listen]\nhttps = [\"443\"]", "2:10", "`443` is not an address", "\"0.0.0.0:443\"");
    check("[listen]\nhttps = \"0.0.0.0:443\"", "2:9", "expected a list", "[\"0.0.0.0:443\"]");
    check("[listen]\nexternal_https = [1]", "2:19", "`1` is not an address", "ip:port");
    check("[listen]\nh2c = \"yes\"", "2:7", "`yes` is neither true nor false", "write true or false");
    check("[listen]\nproxy_protocol = [\"10.0.0.0/33\"]", "2:19", "neither an address nor a network", "10.0.0.0/8");
    check("[tls]\nprofile = \"modren\"", "2:11", "`modren` is not a known value", "did you mean `modern`?");
    check("[tls]\ndefault = \"a/b\"", "2:11", "`a/b` is not the name of a certificate", "means web.crt");
    check("[tls]\ncertificates = \"\"", "2:16", "is not a path", "write a path as text");
    check("[tls.client_certificates.a]\nca = \"x\"", "1:26", "nobody listens with TLS", "add https = ");
    check("[tls.client_certificates.\"a_*\"]\nca = \"x\"", "1:26", "`a_*` has a character", "demo.example.com");
    check("[tls.client_certificates.a]\nmode = \"required\"", "1:26", "nobody is named who signs", "add ca = ");
    check(
        "[tls.client_certificates.a]\nca = \"x\"\nmode = \"must\"",
        "3:8",
        "`must` is not a known value",
        "`required`",
    );
    let twice = "[tls.client_certificates.a]\nca = \"x\"\n[tls.client_certificates.A]\nca = \"y\"";
    check(twice, "1:26", "`a` stands there twice", "write each host once");
    check("[upstream]\nprotocol = \"h2\"", "2:12", "`h2` is not a protocol", "write \"http/1.1\"");
    check("[upstream]\nhsts = \"1y\"", "2:8", "`1y` is not a duration", "or \"off\"");
    check("[listen\nhttp = []", "1:8", "unclosed table", "correct the TOML");
    check("[engine]\nkind = \"tengine\"", "2:8", "Tengine engine is not in this version", "\"built-in\"");
    check("[engine]\nthreads = 0", "2:11", "`0` is not a number of threads", "\"cores\"");
    check("[timeouts]\nconnect = 5", "2:11", "`5` is not a duration", "\"5s\"");
    check("[timeouts]\nconnect = \"5 sec\"", "2:11", "`5 sec` is not a duration", "\"5s\"");
    check("[timeouts]\nconnect = \"0s\"", "2:11", "`0s` is out of range", "from \"1ms\"");
    check("[timeouts]\nupstream = \"9999h\"", "2:12", "`9999h` is out of range", "to \"8760h\"");
    check("[limits]\nrequest_head_bytes = \"64KB\"", "2:22", "`64KB` is not a size", "\"64KiB\"");
    check("[limits]\nrequest_head_bytes = 1", "2:22", "`1` is out of range", "from 1024 to");
    check("[limits]\nconnections = 0", "2:15", "`0` is out of range", "write 1 or more, or \"unlimited\"");
    check("[limits]\nconnections = \"many\"", "2:15", "`many` is not a size", "\"unlimited\"");
    check("[routing]\nunknown_host = \"clsoe\"", "2:16", "`clsoe` is not a known value", "did you mean `close`?");
    check("[routing]\nsubdomains = \"yes\"", "2:14", "`yes` is neither true nor false", "write true or false");
    check("[cluster]\ndomain = \"*.lain\"", "2:10", "`*.lain`", "without scheme, port or `*`");
    check("[access_log]\nformat = \"jsn\"", "2:10", "`jsn` is not a known value", "did you mean `json`?");
    check("[access_log]\nstdout = true\ndirectory = \"/x\"", "3:13", "not to both", "keep one");
    check(
        "[forwarding]\ntrusted_proxies = [\"10.0.0.0/33\"]",
        "2:20",
        "neither an address nor a network",
        "10.0.0.0/8",
    );
    check("[guard]\nmax_loss = 50", "2:12", "`50` is not a share", "0.5");
    check("[source.lainlet]\naddress = \"lainlet:x\"", "2:11", "not the address of a lainlet", "lainlet.lain:9001");
    check("[source.lainlet]\nheartbeat = \"40s\"", "2:13", "not longer than heartbeat", "three times");
    check("[source.lainlet]\nheartbeat = \"1500ms\"", "2:13", "heartbeat every 1.5s", "whole seconds");
    for key in ["heartbeat", "read_timeout", "refresh"] {
        let place = format!("2:{}", key.len() + 4);
        check(&format!("[source.lainlet]\n{key} = \"500ms\""), &place, "`500ms` is out of range", "from \"1s\"");
    }
    check("[upstream]\nballance = \"x\"", "2:1", "unknown key `ballance`", "did you mean `balance`?");
    check(
        "[upstream]\nbalance = \"round_robbin\"",
        "2:11",
        "`round_robbin` is not a way",
        "did you mean `round_robin`?",
    );
    check("[upstream]\nqueue = \"5\"", "2:9", "`5` is not a whole number", "write a number from 0 to 65536");
    check("[upstream]\nmax_requests = 0", "2:16", "`0` is out of range", "or \"unlimited\"");
    check("[upstream]\nendpoint_wait = \"2m\"", "2:17", "`2m` is out of range", "to \"1m\"");
    check("[timeouts]\nrequest = \"of\"", "2:11", "`of` is not a duration", "did you mean `off`?");
    check("[timeouts]\nfirst_byte = \"off\"", "2:14", "`off` is not a duration", "\"5s\"");
    check("[health]\nfall = 0", "2:8", "`0` is out of range", "write a number from 1 to 100");
    check("[health]\nfailures = \"3\"", "2:12", "`3` is not a whole number", "from 1 to 1000");
    check("[health]\neject = \"10m\"", "2:9", "eject_max (300s) is shorter than eject (600s)", "at least as long");
    check("[health]\neject_share = 50", "2:15", "`50` is not a share", "0.5 lets half of a pool be ejected");
    check("[retries]\nshare = 2", "2:9", "`2` is not a share", "one of five");
    check("[retries]\nfloor = 0.5", "2:9", "`0.5` is not a whole number", "write a number from 0");
    check("[apps.demo]\nqeue = 1", "2:1", "unknown key `qeue`", "did you mean `queue`?");
    check("[apps.\"demo.web.web\"]\nslow_start = 5", "2:14", "`5` is not a duration", "\"5s\"");
    check("[apps.demo]\nqueue = [1]", "2:9", "a list is not a whole number", "write a number");
    check("[apps.\"de mo\"]\nqueue = 1", "1:7", "`de mo` names no app", "[apps.\"demo.web.web\"]");
    check("[apps]\nqueue = 1", "2:9", "invalid type", "[section]");
    check("[source.fil]\npath = \"x\"", "1:9", "unknown key `fil`", "did you mean `file`?");
    check("[admin]\nlisten = 9080", "2:10", "not an address to listen at", "ip:port");
    check("[state]\ndirectory = 1", "2:13", "`1` is not a path", "write a path as text");
    check("listen = 1", "1:10", "invalid type", "[section]");
}

#[test]
fn all_mistakes_are_told_at_once() {
    let text = "[timeouts]\nconnect = 5\nupstream = true\n[admin]\nlisten = \"x\"";
    let report = parse(text, &[("LAINLET_PORT", "tcp://1")]).expect_err("mistakes").report(Colour::Plain);
    for part in ["webrouter.toml:2:11", "webrouter.toml:3:12", "webrouter.toml:5:10", "LAINLET_PORT=\"tcp://1\""] {
        assert!(report.contains(part), "{part} is not in:\n{report}");
    }
}

#[test]
fn a_mistake_in_the_environment_names_the_variable() {
    for (name, value, fix) in [
        ("LAIN_DOMAIN", "http://x", "without scheme"),
        ("LAINLET_ADDR", "a b", "host:port"),
        ("LAINLET_PORT", "0", "from 1 to 65535"),
    ] {
        let report = parse("[source.lainlet]", &[(name, value)]).expect_err(name).report(Colour::Plain);
        assert!(report.contains(&format!("{name}={value:?}")) && report.contains(fix), "{report}");
    }
}

#[test]
fn policies_follow_from_their_sections() {
    let text = "[timeouts]\nconnect = \"1s\"\nupstream = \"30s\"\nrequest = \"1m\"\n[upstream]\nbalance = \"sticky\"\n\
                [health]\nfall = 2\nfailures = 9\n[retries]\nfloor = 0\n\
                [apps.demo]\nqueue = 1\nqueue_timeout = \"2s\"\n[apps.\"demo.web.web\"]\nqueue = 2";
    let policies = parse(text, &[]).expect("good").policies;
    let mut expected = Policy { balance: Balance::Sticky("webrouter".to_owned()), ..Policy::default() };
    let (second, minute) = (Duration::from_secs(1), Duration::from_secs(60));
    expected.timeouts =
        policy::Timeouts { connect: second, first_byte: 30 * second, upstream: 30 * second, request: Some(minute) };
    expected.health.fall = 2;
    assert_eq!(*policies.default, expected);
    assert_eq!((policies.ejection.failures, policies.retries.floor), (9, 0.0));
    let demo = Wishes { queue: Some(1), queue_timeout: Some(2 * second), ..Wishes::default() };
    let web = Wishes { queue: Some(2), ..Wishes::default() };
    let overrides = [("demo".to_owned(), demo), ("demo.web.web".to_owned(), web)];
    assert_eq!(*policies.overrides, Overrides::new(overrides.into()));
    let own = parse("[timeouts]\nupstream = \"30s\"\nfirst_byte = \"5s\"", &[]).expect("good").policies;
    assert_eq!(own.default.timeouts.first_byte, 5 * second);
    assert_eq!(*parse("", &[]).expect("good").policies.default, Policy::default());
}
