//! Deliberate bugs, each in the shell around the hub or in the client: the simulation must find every one.

/// One bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// Replies leave before the batch is kept; a crash in between loses it.
    AnswerBeforeCommit,
    /// A failed commit is reported as done.
    FailureIsSuccess,
    /// A crash leaves half of the batch that was under way.
    HalfBatch,
    /// Replies to tagged requests are not kept.
    ForgetReplies,
    /// Sessions are not kept.
    ForgetSessions,
    /// A restart keeps only the last reply of each session.
    DropWindow,
    /// What is kept of a reply is not what was sent.
    OtherReply,
    /// Now and then a value is not kept.
    LoseValue,
    /// Deleted values are kept.
    KeepDeleted,
    /// Now and then a letter is not kept.
    LoseLetter,
    /// How far delivery has come is not kept.
    ForgetDelivery,
    /// What a mailbox watches is not kept.
    ForgetWatches,
    /// A restart takes two batches in the wrong order.
    Reorder,
    /// The numbers of sessions and mailboxes begin anew at each restart.
    ForgetClock,
    /// A client sends a request again under another number.
    Renumber,
    /// A client opens a new session where it should resend.
    NewSession,
    /// A client acknowledges before it has taken what it acknowledges, and crashes.
    AckFirst,
    /// A client does not notice that its mailbox is another one.
    IgnoreBox,
    /// A client takes pushes as they come.
    TakeAll,
    /// A client acknowledges what it has not had yet.
    AckAhead,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 20] = [
        Self::AnswerBeforeCommit,
        Self::FailureIsSuccess,
        Self::HalfBatch,
        Self::ForgetReplies,
        Self::ForgetSessions,
        Self::DropWindow,
        Self::OtherReply,
        Self::LoseValue,
        Self::KeepDeleted,
        Self::LoseLetter,
        Self::ForgetDelivery,
        Self::ForgetWatches,
        Self::Reorder,
        Self::ForgetClock,
        Self::Renumber,
        Self::NewSession,
        Self::AckFirst,
        Self::IgnoreBox,
        Self::TakeAll,
        Self::AckAhead,
    ];
}
