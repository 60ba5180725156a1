//! Where processes listen: a text of `host:port`, a line each, in the order of their numbers.

use std::net::IpAddr;

/// The port of the first process where nothing else is said.
const PORT: usize = 2101;

/// So many processes, each on this machine.
pub fn of_this_machine(processes: usize) -> Vec<String> {
    (0..processes).map(|process| format!("127.0.0.1:{}", PORT + process)).collect()
}

/// So many lines, of a text in which `{}` stands for the number of the process.
pub fn of_pattern(pattern: &str, processes: usize) -> String {
    (0..processes).map(|process| pattern.replace("{}", &process.to_string()) + "\n").collect()
}

/// Whether all of them are this machine, and nobody else reaches them.
pub fn are_of_this_machine(hosts: &[String]) -> bool {
    let host = |host: &String| host.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']).to_owned();
    let is_own = |host: String| host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback());
    hosts.iter().map(host).all(is_own)
}

/// The lines of a text; the first so many count.
///
/// # Errors
/// If there are fewer lines than processes, one is none of `host:port`, or two are alike.
pub fn parse(text: &str, processes: usize) -> Result<Vec<String>, String> {
    let lines = text.lines().map(str::trim).enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let mut hosts = Vec::<String>::new();
    for (number, line) in lines.take(processes) {
        let port = line.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
        if !matches!(port, Some(Ok(1..))) {
            return Err(format!("line {}, `{line}`: expected host:port, such as 10.0.0.7:2101", number + 1));
        }
        if hosts.iter().any(|host| host == line) {
            return Err(format!("line {}: `{line}` is there twice; each process needs a place of its own", number + 1));
        }
        hosts.push(line.to_owned());
    }
    if hosts.len() < processes {
        return Err(format!("it names {} hosts, and there are {processes} processes: one line each", hosts.len()));
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_a_process() {
        assert_eq!(parse("a:1\n# all of them\n\n b:2 \nc:3\n", 2).expect("good"), ["a:1", "b:2"]);
        assert_eq!(of_this_machine(2), ["127.0.0.1:2101", "127.0.0.1:2102"]);
        assert_eq!(of_pattern("a-{}:1", 2), "a-0:1\na-1:1\n");
        let own =
            |hosts: &[&str]| are_of_this_machine(&hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>());
        assert!(own(&["127.0.0.1:1", "[::1]:2", "localhost:3", "127.9.9.9:4"]));
        assert!(!own(&["127.0.0.1:1", "10.0.0.7:1"]) && !own(&["a:1"]));
        let wrong = [
            ("a:1\n", "names 1 hosts, and there are 2"),
            ("a:1\na:1\n", "line 2: `a:1` is there twice"),
            ("a:1\nb\n", "line 2, `b`: expected host:port"),
            ("a:1\nb:0\n", "`b:0`"),
            (":1\n", "`:1`"),
        ];
        for (text, expected) in wrong {
            let why = parse(text, 2).expect_err("refused");
            assert!(why.contains(expected), "{why}");
        }
    }
}
