//! The step-by-step simulator of the loop over io_uring: its recording, what is made of it, and
//! what is refused.

use std::fs;
use std::path::{Path, PathBuf};

use aids::steps::recording::{Arrival, Does, Label, Who};
use aids::steps::rings::{Completion, Op, Recording, Step, page};
use serde_json::Value;

fn file() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).expect("the root");
    root.join("static/recorded-steps/uring-loop.json")
}

fn recording() -> Recording {
    let text = fs::read_to_string(file()).expect("a file");
    serde_json::from_str(&text).expect("a recording")
}

fn frames(recording: &Recording) -> Vec<Value> {
    let data = page::data(recording).expect("a good recording");
    let data = serde_json::to_value(data).expect("data");
    data["frames"].as_array().expect("frames").clone()
}

#[test]
fn the_recording_is_what_the_rules_say_and_has_all_that_the_chapter_speaks_of() {
    let recording = recording();
    page::data(&recording).expect("a good recording");
    let mut entries = recording.steps.iter().flat_map(|step| &step.wrote);
    for op in [Op::Accept, Op::Recv] {
        assert!(entries.clone().any(|e| e.op == op && e.multishot), "{op}, multishot");
    }
    for op in [Op::Timeout, Op::Cancel, Op::Connect, Op::Openat2, Op::Statx, Op::Close] {
        assert!(entries.clone().any(|entry| entry.op == op), "{op}");
    }
    let read = entries.find(|entry| entry.op == Op::Read).expect("a read");
    assert!(entries.any(|entry| entry.op == Op::Send && entry.of == read.of), "is sent");
    let brought = recording.steps.iter().filter_map(|step| step.brought.as_ref());
    assert!(brought.clone().flatten().any(|completion| completion.more));
    // Several at once, so that their order is seen.
    assert!(brought.clone().any(|brought| brought.len() > 1));
    assert!(recording.steps.last().is_some_and(Step::is_last), "it ends asleep");
}

#[test]
fn it_is_written_as_it_was_read() {
    let text = fs::read_to_string(file()).expect("a file");
    assert_eq!(recording().to_file().expect("a file"), text);
}

#[test]
fn what_a_worker_has_done_may_come_earlier_or_later() {
    let at = |place: usize| {
        let mut recording = recording();
        let is_worked = |step: &Step| step.wrote.iter().any(|e| e.op == Op::Statx);
        let step = recording.steps.iter_mut().find(|step| is_worked(step));
        let step = step.expect("a worker's");
        let worked = step.wrote.iter().find(|e| e.op == Op::Statx).expect("it");
        let (mark, result) = (worked.mark.clone(), "0".to_owned());
        let done = Completion { mark, result, more: false, buffer: None };
        let brought = step.brought.as_mut().expect("completions");
        brought.retain(|completion| completion.mark != done.mark);
        brought.insert(place.min(brought.len()), done);
        recording
    };
    assert_ne!(at(0), at(usize::MAX));
    assert_eq!(at(0).settled(), at(usize::MAX).settled());
}

#[test]
fn one_of_up_to_four_is_right_before_each_submission_and_each_call() {
    let recording = recording();
    let frames = frames(&recording);
    let asked: Vec<&Value> =
        frames.iter().filter(|frame| frame["choices"].is_array()).collect();
    let waits = recording.steps.iter().filter(|step| step.is_wait()).count();
    assert_eq!(
        asked.len(),
        recording.steps.len() + waits,
        "what it does, what comes of it"
    );
    let mut places = [0; 4];
    for frame in &asked {
        let choices = frame["choices"].as_array().expect("choices");
        let right: Vec<usize> =
            (0..choices.len()).filter(|n| choices[*n][2] == true).collect();
        let [right] = right[..] else { panic!("{choices:?}") };
        places[right] += 1;
        assert!((3..=4).contains(&choices.len()), "{choices:?}");
        for (n, choice) in choices.iter().enumerate() {
            let why = choice[1].as_str().expect("a reason");
            let first = why.chars().next().expect("a reason");
            assert!(why.ends_with('.') && !first.is_whitespace(), "{why}");
            assert_eq!(why.starts_with("Yes"), n == right, "{why}");
            assert_ne!(why, "Yes.", "{choice}: no reason");
            let same = choices.iter().filter(|other| other[0] == choice[0]);
            assert_eq!(same.count(), 1, "{choices:?}");
        }
    }
    let most = places.iter().max().expect("places");
    assert!(*most * 2 < asked.len(), "the place tells: {places:?}");
}

#[test]
fn a_choice_is_right_when_the_recording_says_so() {
    let recording = recording();
    let frames = frames(&recording);
    let right = |frame: &Value| {
        let choices = frame["choices"].as_array()?;
        let choice = choices.iter().find(|choice| choice[2] == true)?;
        Some(choice[0].as_str()?.to_owned())
    };
    for (frame, next) in frames.iter().zip(&frames[1..]) {
        let Some(right) = right(frame) else { continue };
        let told = next.to_string();
        match (&*right, right.split_once(' ')) {
            ("it sleeps", _) => assert_eq!(next["asleep"], true),
            ("submit nothing", _) => {
                assert_eq!(next["submission"][0], next["submission"][1], "{told}");
            }
            (_, Some(("submit", entry))) => {
                let first = entry.split(' ').next().expect("an entry");
                let shown = next["submission"][2][0][1].as_str().expect("an entry");
                assert!(shown.starts_with(first), "{entry}: {told}");
            }
            (_, Some(("call", call))) => {
                assert_eq!(next["call"].as_str().map(|c| &c[..6]), Some(&call[..6]));
            }
            (completes, _) => {
                let first = completes.strip_suffix(" completes").expect("a completion");
                let shown = next["completion"][2][0][1].as_str().expect("a completion");
                assert!(shown.starts_with(first), "{first}: {told}");
            }
        }
    }
}

/// A recording that somebody has changed, at the first step that this is true of.
fn changed(is: impl Fn(&Step) -> bool, change: impl Fn(&mut Step)) -> String {
    let mut other = recording();
    let step = other.steps.iter_mut().find(|step| is(step)).expect("such a step");
    change(step);
    page::data(&other).expect_err("it is refused")
}

fn brought(step: &mut Step) -> &mut Vec<Completion> {
    step.brought.as_mut().expect("completions")
}

fn brings(step: &Step, is: impl Fn(&Completion) -> bool) -> bool {
    step.brought.iter().flatten().any(is)
}

#[test]
fn completions_that_cannot_be_are_refused() {
    let several = |step: &Step| step.brought.as_ref().is_some_and(|all| all.len() == 3);
    let why = changed(several, |step| brought(step).swap(1, 2));
    assert!(why.contains("by the rules it brings recv(C) = 0"), "another order: {why}");

    let why = changed(several, |step| drop(brought(step).pop()));
    assert!(why.contains("by the rules it brings recv(store) = 19"), "one less: {why}");

    let why = changed(several, |step| {
        let last = brought(step).last().expect("one").clone();
        brought(step).push(last);
    });
    assert!(why.contains("does not complete"), "one more: {why}");

    let received = |step: &Step| brings(step, |completion| completion.result == "25");
    let why = changed(received, |step| brought(step)[0].result = "26".to_owned());
    assert!(why.contains("recv(A) = 25, MORE, buffer 0, and it brought 26"), "{why}");

    let why = changed(received, |step| brought(step)[0].more = false);
    assert!(why.contains("by the rules it brings recv(A) = 25, MORE"), "no more: {why}");

    let why = changed(received, |step| brought(step)[0].buffer = None);
    assert!(why.contains("by the rules it brings recv(A) = 25, MORE"), "no buffer: {why}");

    let why = changed(received, |step| brought(step)[0].mark = "40".to_owned());
    assert!(why.contains("it brought 25 of 40"), "another's: {why}");

    let closed = |step: &Step| brings(step, |completion| completion.mark == "NOBODY");
    let why = changed(closed, |step| {
        let close = brought(step).iter_mut().find(|c| c.mark == "NOBODY");
        close.expect("a close").buffer = Some(0);
    });
    assert!(why.contains("by the rules it brings close(C) = 0, and"), "a buffer: {why}");
}

#[test]
fn queues_and_entries_that_cannot_be_are_refused() {
    let any = |step: &Step| step.is_wait();
    let why = changed(any, |step| step.queues.as_mut().expect("queues").submission[1] += 1);
    assert!(
        why.contains("the queues are 0 to 2 and 0 to 0, and they were 0 to 3"),
        "{why}"
    );
    let why = changed(any, |step| step.queues.as_mut().expect("queues").completion[1] += 1);
    assert!(why.contains("and they were 0 to 2 and 0 to 1"), "{why}");
    let why = changed(any, |step| step.answer = "1".to_owned());
    assert!(why.contains("by the rules it answers 2"), "{why}");
    let why = changed(any, |step| step.wrote[1].mark = step.wrote[0].mark.clone());
    assert!(why.contains("0 is in flight already"), "{why}");
    let cancels = |step: &Step| step.wrote.iter().any(|entry| entry.op == Op::Cancel);
    let why = changed(cancels, |step| {
        let cancel = step.wrote.iter_mut().find(|entry| entry.op == Op::Cancel);
        cancel.expect("a cancel").mark = "CANCEL|12".to_owned();
    });
    assert!(why.contains("cancel(timeout) = ENOENT"), "{why}");
    let why = changed(any, |step| drop(step.after.flying.pop()));
    assert!(why.contains("do not lead to what the file says"), "{why}");
}

#[test]
fn a_sleep_that_cannot_be_is_refused() {
    let leaves = || Arrival { who: Who::C, does: Does::Leaves };
    let busy = |step: &Step| step.is_wait() && !step.arrived.is_empty();
    let why = changed(busy, |step| step.meanwhile.push(leaves()));
    assert!(why.contains("by the rules it does not sleep"), "{why}");
    let why = changed(busy, |step| step.brought = None);
    assert!(why.contains("by the rules it returns at once"), "{why}");
    let asleep = |step: &Step| !step.meanwhile.is_empty();
    let why = changed(asleep, |step| step.meanwhile.clear());
    assert!(why.contains("by the rules nothing wakes it"), "{why}");
}

#[test]
fn the_page_is_whole_without_script() {
    let recording = recording();
    let lines =
        Label::ALL.map(|label| (label, format!("x.html#{label}"), "lines".to_owned()));
    let html = page::html("uring-loop", &recording, &lines).expect("a page");
    assert!(!html.contains("\n\n"), "an empty line would end the block");
    let (shown, script) = html.split_once("<script ").expect("the data");
    assert!(script.starts_with("type=\"application/json\">"));
    assert_eq!(script.matches('<').count(), 2, "the ends of script and of the element");
    assert_eq!(shown.matches("<tr").count(), 1 + recording.steps.len());
    assert!(shown.contains("Seen: the calls, by strace;") && shown.contains("Derived: "));
    for step in &recording.steps {
        assert!(shown.contains(&step.shown()) && shown.contains(&step.answer));
        for entry in &step.wrote {
            let cell = format!("<b>{}</b> <code>{}</code>", entry.mark, entry.shown());
            assert!(shown.contains(&cell), "{cell}");
        }
        if let Some(queues) = step.queues {
            let [head, tail] = queues.submission;
            assert!(shown.contains(&format!("<span>{head} to {tail}</span>")));
        }
        for completion in step.brought.iter().flatten() {
            let cell = format!("<b>{}</b> <code>", completion.mark);
            assert!(shown.contains(&cell), "{cell}");
            let result = format!(" = {}", completion.result);
            assert!(shown.contains(&result), "{result}");
        }
        for arrival in step.arrived.iter().chain(&step.meanwhile) {
            assert!(shown.contains(&arrival.to_string()), "{arrival}");
        }
    }
    for label in Label::ALL {
        assert!(shown.contains(&format!("<a href=\"x.html#{label}\">lines</a>")));
    }
}
