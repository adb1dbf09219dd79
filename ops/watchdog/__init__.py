"""The watchdog: a small second process that starts the daemon, sees whether it still thinks, and replaces it.

- `verdict`  what to do about what is seen: pure, `now` is an input
- `process`  a process by pid and start ticks: alive, stopped, signalled without ever hitting another one
- `notify`   what a service unit is told: ready, alive, stopping
- `loop`     the thin shell: looks, judges, starts, kills; `__main__` is its command line

What daemon and watchdog owe each other
---------------------------------------
The watchdog runs `python -P -m supervisor --home HOME ARGS… [--safe-mode]`, where ARGS is what `riskd up`
handed over (`--config FILE`… `--set KEY=VALUE`… `--env-file FILE`), the same at every start. The daemon
inherits the environment, works in HOME, has a session of its own; its output goes to HOME/logs/daemon.out.

- `RISKD_RESTART=N`: 0 for the first start, then 1, 2, … A restarted daemon (N > 0) runs on the stored
  configuration and reads ARGS only where nothing is stored yet. Under a service unit it begins with 1.
- `RISKD_RESTART_CAUSE`: why the one before ended, for the record (empty at the first start).
- `RISKD_DOWN_SINCE`: monotonic second since when nobody guards, for `uncovered_ms` (likewise).

The daemon
- takes HOME/riskd.lock before anything else; exits 1 with a reason when it is held;
- writes HOME/run/daemon.json `{pid, start_ticks, started_at, restart, safe_mode, phase}` early, and again
  whenever `phase` changes: words for `riskd up` ("opening the store", "logging in", …), then "ready";
- beats on HOME/run/heartbeat (`supervisor.heartbeat`) after each scan, with its pid and start ticks;
  `Phase.READY` once everything it could start is started, guarding or blind; `Phase.STOPPING` before it
  begins to stop because it was told to: from then on it has `stop_s` to end and is not replaced
  (`Phase.RESTARTING` where it ends to be replaced: it has as long, and is);
- has `faulthandler.register(SIGUSR1, file=…)` write stacks to HOME/run/stacks.txt before its first beat;
- on SIGTERM stops cleanly, as on `down`.

Exit codes of the daemon
- 0   it was told to end (`down`): the watchdog ends too;
- 1   refused at the first start (login refused, rule self-test, home in use): not started again;
- 78  bad configuration at the first start: likewise. For both it writes HOME/run/ended.json
      `{exit, why, hint}` first, which is what `riskd up` shows;
- 75  replace me (`restart`, or a part that only a new process cures): at once, out of safe mode, no failure;
- 143 ended by a SIGTERM that was not the watchdog's: replaced;
- anything else, or a signal: replaced, first at once, then with growing pauses, and after
  `tally` failures within `tally_s` in safe mode until `restart`.

Killing the watchdog leaves the daemon running; a new one (`python -P -m ops.watchdog` with the arguments of
HOME/run/watchdog.json `{pid, start_ticks, started_at, argv}`) adopts it. `down` ends both.
"""
