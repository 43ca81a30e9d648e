//! What is left of a result when somebody is interrupted, or is wrong.

use super::*;
use crate::cores::Cores;
use crate::plan::Settings;
use crate::record::Ending;
use crate::server::Server;
use crate::workload::Workload;

fn plan() -> Plan {
    Plan {
        servers: vec![Server::named("epoll-loop").unwrap()],
        workloads: vec![Workload::StaticClose],
        clients: vec![1, 20],
        crowds: Vec::new(),
        rounds: 2,
        settings: Settings {
            seconds: 1.0,
            requests: None,
            rate: None,
            ramp_limit: 1.0,
            timeout: 1000,
            store_delay: 0,
            over: None,
            calls: false,
        },
    }
}

fn environment() -> Environment {
    Environment::now(Cores::one(), Path::new("."))
}

fn cell(number: usize) -> Cell {
    Cell {
        key: plan().cells()[number].key(),
        ending: Ending::Well,
        outcome: None,
        busy: 0.0,
        usage: None,
        network: None,
        calls: None,
        no_calls: None,
        said: Some("a word\nwith an end of a line".into()),
    }
}

fn keys(folder: &Path) -> Vec<Key> {
    read(folder).unwrap().cells.into_iter().map(|cell| cell.key).collect()
}

#[test]
fn a_torn_line_is_cut_off_and_nothing_is_there_twice() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (plan, environment) = (plan(), environment());
    let mut results = Results::open(folder, &plan, &environment).unwrap();
    assert!(!results.has(&cell(0).key));
    results.add(&cell(0)).unwrap();
    results.add(&cell(1)).unwrap();
    drop(results);

    let path = folder.join(CELLS);
    let whole = fs::read(&path).unwrap();
    let first = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    // Wherever the second line is torn, the first one is there, and the second one comes
    // once more.
    for cut in [first, first + 1, first + 20, whole.len() - 1] {
        fs::write(&path, &whole[..cut]).unwrap();
        assert_eq!(keys(folder), [cell(0).key], "cut at {cut}");
        let mut results = Results::open(folder, &plan, &environment).unwrap();
        assert!(results.has(&cell(0).key) && !results.has(&cell(1).key));
        results.add(&cell(1)).unwrap();
        drop(results);
        assert_eq!(fs::read(&path).unwrap(), whole);
    }
    assert_eq!(keys(folder), [cell(0).key, cell(1).key]);
}

#[test]
fn another_plan_and_another_machine_are_refused_in_a_line() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (plan, environment) = (plan(), environment());
    Results::open(folder, &plan, &environment).unwrap().add(&cell(0)).unwrap();
    let refused = |plan: &Plan, environment: &Environment| {
        let line = Results::open(folder, plan, environment).unwrap_err();
        assert!(line.contains("--anew") && !line.contains('\n'), "{line}");
        line
    };
    let longer = Plan { rounds: 3, ..plan.clone() };
    assert!(refused(&longer, &environment).contains("another plan"));
    let newer = Environment { kernel: "9.9".into(), ..environment.clone() };
    assert!(refused(&plan, &newer).contains("the kernel was"));
    let elsewhere = Environment { commit: "abc".into(), ..environment.clone() };
    assert!(refused(&plan, &elsewhere).contains("and it is abc"));

    let aside = put_aside(folder).unwrap();
    assert_eq!(keys(&aside), [cell(0).key]);
    assert!(!Results::open(folder, &longer, &newer).unwrap().has(&cell(0).key));
    fs::remove_dir_all(aside).unwrap();
}

#[test]
fn a_cell_that_is_there_twice_is_refused_and_so_is_what_is_no_cell() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let (plan, environment) = (plan(), environment());
    Results::open(folder, &plan, &environment).unwrap().add(&cell(0)).unwrap();
    let path = folder.join(CELLS);
    let line = fs::read_to_string(&path).unwrap();
    fs::write(&path, line.repeat(2)).unwrap();
    assert!(Results::open(folder, &plan, &environment).unwrap_err().contains("twice"));
    // In the middle: that is no interruption.
    fs::write(&path, format!("{{\n{line}")).unwrap();
    assert!(Results::open(folder, &plan, &environment).unwrap_err().contains("line 1"));
}

#[test]
fn two_do_not_write_into_the_same_folder() {
    let folder = tempfile::tempdir().unwrap();
    let (plan, environment) = (plan(), environment());
    let _first = Results::open(folder.path(), &plan, &environment).unwrap();
    let second = Results::open(folder.path(), &plan, &environment).unwrap_err();
    assert!(second.contains("another harness"), "{second}");
}
