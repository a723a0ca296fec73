//! `answer`: a command's output is the answer to each question, so that a script becomes a service.
//!
//! A question is acknowledged once it is taken, before its command runs. The other order would run the command again
//! for a question whose acknowledgement was lost with this program, when whoever asked has long given up.

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, BorrowedFd};
use std::process::Child;
use std::time::Duration;

use serde_json::Value;

use super::arguments::AnswerOptions;
use super::ask::ERROR;
use super::child::{Progress, Running};
use super::client::{Client, Happening};
use super::exit::{Exit, Failure, complain};
use super::output::{Output, sanitised, text_object};
use super::settings::Settings;
use super::signals::{ChildEnds, Interrupt};
use crate::courier::{Id, Outcome, Push};
use crate::wire::ErrorName;

/// Questions that wait for their turn; whoever asks more gets an error at once.
const QUEUE: usize = 256;

/// How long the last answers may take when the program is asked to end.
const LAST_ANSWERS: Duration = Duration::from_secs(1);

/// Joins under the code from the settings, and answers until it is asked to end.
pub(super) fn answer(settings: &Settings, out: &mut Output, options: &AnswerOptions) -> Result<(), Failure> {
    let code = settings.code.as_deref().ok_or_else(|| {
        let why = "questions come to a code of one's own: --as CODE, or `as` in the configuration";
        Failure::new(Exit::Usage, why)
    })?;
    let interrupt = Interrupt::register()?;
    let child_ends = ChildEnds::register()?;
    let client = Client::join_mailbox(settings, code, &interrupt)?;
    let mut service = Service {
        client,
        options,
        waiting: VecDeque::new(),
        tasks: Vec::new(),
        killed: Vec::new(),
        sent: HashMap::new(),
    };
    let ended = service.serve(out, &interrupt, &child_ends);
    let answered = service.end(out);
    service.client.leave();
    ended.and(answered)
}

struct Service<'a> {
    client: Client,
    options: &'a AnswerOptions,
    waiting: VecDeque<Question>,
    tasks: Vec<Task>,
    /// Commands that were killed and are to be waited for.
    killed: Vec<Child>,
    /// Answers under way.
    sent: HashMap<Id, Sent>,
}

struct Question {
    ticket: String,
    from: String,
    text: Vec<u8>,
}

/// A question whose command runs.
struct Task {
    question: Question,
    running: Running,
}

/// An answer that the hub has not confirmed.
struct Sent {
    question: Question,
    answer: Vec<u8>,
    /// It is sent a second time, under a new number, because the first was refused.
    again: bool,
}

impl Service<'_> {
    fn serve(
        &mut self,
        out: &mut Output,
        interrupt: &Interrupt,
        child_ends: &ChildEnds,
    ) -> Result<(), Failure> {
        loop {
            self.look_at_tasks();
            self.start_tasks();
            let until = self.tasks.iter().map(|task| task.running.deadline()).min();
            let mut files: Vec<BorrowedFd<'_>> = vec![interrupt.as_fd(), child_ends.as_fd()];
            files.extend(self.tasks.iter().filter_map(|task| task.running.output()));
            match self.client.next(until, &files)? {
                Happening::Ready(0) => return Ok(()),
                Happening::Ready(1) => child_ends.forget(),
                // Whichever it is, all are looked at.
                Happening::Ready(_) | Happening::Time => {}
                Happening::Finished(id, outcome) => self.answered(out, id, outcome)?,
                Happening::Pushed(parcel) => match parcel.push() {
                    Some(Push::Question { ticket, from, text }) => self.take(Question {
                        ticket: ticket.as_str().to_owned(),
                        from: from.as_str().to_owned(),
                        text: text.to_vec(),
                    }),
                    Some(push) => out.push(&push)?,
                    None => {}
                },
            }
        }
    }

    fn take(&mut self, question: Question) {
        if self.waiting.len() < QUEUE {
            self.waiting.push_back(question);
        } else {
            self.fail(question, "too many questions wait here");
        }
    }

    fn start_tasks(&mut self) {
        while self.tasks.len() < usize::from(self.options.limit)
            && let Some(question) = self.waiting.pop_front()
        {
            let (now, time) = (self.client.now(), self.options.command_timeout);
            match Running::start(&self.options.command, &question.from, &question.text, now, time) {
                Ok(running) => self.tasks.push(Task { question, running }),
                Err(why) => self.fail(question, &why),
            }
        }
    }

    fn look_at_tasks(&mut self) {
        let now = self.client.now();
        for mut task in core::mem::take(&mut self.tasks) {
            match task.running.look(now) {
                Progress::Runs => self.tasks.push(task),
                Progress::Ended(Ok(answer)) => self.send(task.question, answer, false),
                Progress::Ended(Err(why)) => self.fail(task.question, &why),
                Progress::Hopeless(why) => {
                    self.killed.push(task.running.kill());
                    self.fail(task.question, &why);
                }
            }
        }
        self.killed.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    /// Tells both sides that there is no answer, and why.
    fn fail(&mut self, question: Question, why: &str) {
        complain(&format!("to {}: {why}", question.from));
        self.send(question, [ERROR, why.as_bytes()].concat(), false);
    }

    fn send(&mut self, question: Question, answer: Vec<u8>, again: bool) {
        let line = [b"ANSWER ", question.ticket.as_bytes(), b" ", &answer].concat();
        match self.client.request(&line) {
            Ok(id) => drop(self.sent.insert(id, Sent { question, answer, again })),
            Err(failure) => failure.report(),
        }
    }

    fn answered(&mut self, out: &mut Output, id: Id, outcome: Outcome) -> Result<(), Failure> {
        let Some(Sent { question, answer, again }) = self.sent.remove(&id) else { return Ok(()) };
        let Err(failure) = self.client.judge(b"ANSWER", outcome) else {
            return print(out, &question, &answer);
        };
        match failure.name {
            Some(ErrorName::JoinFirst) if !again => {
                self.client.regain_place()?;
                self.send(question, answer, true);
            }
            Some(ErrorName::TooLong) if !again => {
                let why = b"the answer is longer than the hub takes";
                self.send(question, [ERROR, why].concat(), true);
            }
            Some(ErrorName::NoSuchTicket) => {
                complain(&format!("the answer to {} came too late", question.from));
            }
            _ => complain(&format!("the answer to {} failed: {}", question.from, failure.message)),
        }
        Ok(())
    }

    /// Kills what runs, tells whoever waits, and sees the last answers off.
    fn end(&mut self, out: &mut Output) -> Result<(), Failure> {
        for task in core::mem::take(&mut self.tasks) {
            self.killed.push(task.running.kill());
            self.waiting.push_back(task.question);
        }
        for question in core::mem::take(&mut self.waiting) {
            self.send(question, [ERROR, b"the service has ended"].concat(), true);
        }
        let until = self.client.now() + LAST_ANSWERS;
        while !self.sent.is_empty() {
            match self.client.next(Some(until), &[])? {
                Happening::Finished(id, outcome) => self.answered(out, id, outcome)?,
                Happening::Time => break,
                Happening::Ready(_) | Happening::Pushed(_) => {}
            }
        }
        Ok(())
    }
}

fn print(out: &mut Output, question: &Question, answer: &[u8]) -> Result<(), Failure> {
    if !out.json {
        let (text, answer) = (sanitised(&question.text), sanitised(answer));
        return out.line(&format!("{}: {text} -> {answer}", question.from));
    }
    let mut object = text_object("question", &question.text);
    if let Value::Object(object) = &mut object {
        object.insert("from".to_owned(), question.from.as_str().into());
        object.insert("answer".to_owned(), String::from_utf8_lossy(answer).into());
    }
    out.object(&object)
}
