//! The system settings file of a child, which nothing that it reads can override.

use std::time::Duration;

use serde_json::{Value, json};

/// Every tool that is not one of the three.
pub(super) const DENIED: &[&str] = &[
    "edit",
    "write_file",
    "notebook_edit",
    "run_shell_command",
    "monitor",
    "enter_worktree",
    "exit_worktree",
    "agent",
    "skill",
    "web_fetch",
    "web_search",
    "tool_call",
    "tool_search",
    "cron_create",
    "cron_delete",
    "cron_list",
    "loop_wakeup",
    "record_artifact",
    "report_findings",
    "send_message",
    "task_stop",
    "list_agents",
    "read_mcp_resource",
    "get_goal",
    "update_goal",
    "zoom_image",
    "todo_write",
];

/// What differs from child to child.
pub(super) struct Settings {
    /// A request may wait this long for its answer to begin.
    pub first_event_timeout: Duration,
    /// A stream may pause this long.
    pub stall_timeout: Duration,
    /// Whether the toolbox holds ripgrep.
    pub ripgrep: bool,
}

/// The file's content.
pub(super) fn system(settings: &Settings) -> Value {
    let millis = |d: Duration| {
        u64::try_from(d.as_millis())
            .unwrap_or(u64::MAX)
            .min(i32::MAX as u64)
    };
    json!({
        "$version": 4,
        "general": {
            "chatRecording": false,
            "checkpointing": { "enabled": false },
            "enableAutoUpdate": false,
            "outputLanguage": "auto",
            "preventSystemSleep": false,
            "showSessionRecap": false,
        },
        "privacy": { "usageStatisticsEnabled": false },
        "telemetry": { "enabled": false },
        "ide": { "enabled": false },
        "model": {
            "enableOpenAILogging": false,
            // The prompt says where the snapshot is; a listing of the child's own folders says nothing.
            "skipStartupContext": true,
            "generationConfig": {
                "timeout": millis(settings.first_event_timeout),
                "streamIdleTimeoutMs": millis(settings.stall_timeout),
                // Attempts are the database's to count; qwen's outer loop remains.
                "maxRetries": 0,
            },
        },
        "context": {
            "loadFromIncludeDirectories": false,
            // What agents see is decided by the snapshot, not by files in it.
            "fileFiltering": { "respectGitIgnore": false, "respectQwenIgnore": false },
        },
        "memory": {
            "enableManagedAutoMemory": false,
            "enableManagedAutoDream": false,
            "enableAutoSkill": false,
            "enableTeamMemory": false,
            "enableTeamMemorySync": false,
        },
        "skills": { "disabledLevels": ["project", "user", "extension", "bundled"] },
        "permissions": { "deny": DENIED },
        "tools": {
            "approvalMode": "plan",
            "disabled": DENIED,
            "exclude": DENIED,
            "useRipgrep": settings.ripgrep,
            "useBuiltinRipgrep": false,
            "webSearch": { "enabled": false },
            "workflowsEnabled": false,
        },
        "security": {
            "auth": { "selectedType": "openai", "enforcedType": "openai" },
            "folderTrust": { "enabled": true },
        },
        "agents": { "crossSessionMessaging": false },
        "disableAllHooks": true,
        "experimental": { "cron": false, "agentTeam": false, "artifact": false, "emitToolUseSummaries": false },
    })
}
