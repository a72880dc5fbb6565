// "Run it here": where the book is served by `workshop book`, a recorded run of a step can be made on the reader's own
// machine. Its calls play in the step's player, as they come; what was seen and checked is listed below it. A page without a
// player lists the calls too. Elsewhere this does nothing. The words come from
// book/LANG/words.toml (window.bookWords).

(() => {
    "use strict";
    const words = window.bookWords;
    const KEPT = "workshop-token";
    // Characters of arguments that are shown at once.
    const LONG = 160;

    // The printed address has the token behind its `#`, where no request carries it. It is taken out of the address,
    // which people copy and bookmark, and kept for this site's other pages.
    function token() {
        const given = new URLSearchParams(location.hash.slice(1)).get("token");
        if (given) {
            history.replaceState(null, "", location.pathname + location.search);
        }
        try {
            if (given) localStorage.setItem(KEPT, given);
            return given || localStorage.getItem(KEPT);
        } catch {
            // A browser that keeps nothing: this page alone knows it.
            return given;
        }
    }

    function element(name, className, text) {
        const made = document.createElement(name);
        if (className) made.className = className;
        if (text) made.textContent = text;
        return made;
    }

    // A sentence, in which `…` is code. Nothing else in it is markup.
    function sentence(className, text) {
        const made = element("span", className);
        text.split("`").forEach((part, at) => made.append(at % 2 ? element("code", "", part) : part));
        return made;
    }

    // A call as strace(1) shows it; a message to the kernel is long, and unfolds.
    function told(event) {
        const result = `) = ${event.result}`;
        const args = event.args.join(", ");
        const whole = element("code", "", `${event.name}(${args}${result}`);
        if (args.length <= LONG) return whole;
        const fold = element("details");
        const head = element("summary");
        head.append(element("code", "", `${event.name}(${args.slice(0, LONG)}…${result}`));
        fold.append(head, whole);
        return fold;
    }

    // What one event adds to the list.
    const shown = {
        call(event, list, player) {
            if (player) {
                player.dispatchEvent(new CustomEvent("live-call", { detail: event }));
                return;
            }
            const item = element("li", event.actor);
            item.append(told(event), sentence("why", event.why));
            list.append(item);
        },
        fact(event, list) {
            const item = element("li", "fact");
            item.append(element("b", "", event.name), ` ${words.outside}: ${event.outside} · ${words.inside}: ${event.inside}`);
            list.append(item);
        },
        check(event, list) {
            const item = element("li", event.passed ? "check held" : "check failed");
            item.append(element("b", "", event.passed ? "✓" : "✗"), ` ${event.expected}`);
            if (!event.passed) item.append(sentence("why", event.help));
            list.append(item);
        },
        error(event, list) {
            const item = element("li", "check failed");
            item.append(element("b", "", "✗"), " ", sentence("", event.message), sentence("why", event.hint));
            list.append(item);
        },
    };

    // The events of a run, as their lines come whole.
    async function* events(response) {
        const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
        let rest = "";
        for (;;) {
            const { value, done } = await reader.read();
            if (done) return;
            const lines = (rest + value).split("\n");
            rest = lines.pop();
            for (const line of lines) yield JSON.parse(line);
        }
    }

    const lang = document.documentElement.lang === "ko" ? "ko" : "en";

    // The server runs one thing at a time, and says so with 409. What another page asks about the learner is soon over.
    async function ask(name, token, signal) {
        for (let more = 10; ; more--) {
            const response = await fetch(`/run/${lang}/${name}`, {
                method: "POST", headers: { "X-Workshop-Token": token }, signal,
            });
            if (response.status !== 409 || !more) return response;
            await new Promise((go) => setTimeout(go, 150));
        }
    }

    // Which steps the learner has done: the course's, and those of a runtime of their own, if the server was started in its
    // folder. The contents show it (theme/progress.js). One after the other: the server runs one thing at a time.
    async function learn(token) {
        const done = {};
        for (const [name, part] of [["list", "build"], ["progress", "own"]]) {
            try {
                const response = await ask(name, token);
                if (!response.ok) continue;
                for await (const event of events(response)) {
                    if (event.event === "step") done[`${part}/${String(event.number).padStart(2, "0")}-${event.slug}`] = event.done;
                }
            } catch { }
        }
        document.dispatchEvent(new CustomEvent("book-done", { detail: done }));
    }
    let learning = Promise.resolve();

    async function run(step, place) {
        await learning;
        place.status.textContent = words.running;
        place.list.replaceChildren();
        const stop = new AbortController();
        place.stop.onclick = () => stop.abort();
        try {
            const response = await ask(step, place.token, stop.signal);
            if (!response.ok) {
                place.status.textContent = { 403: words.notallowed, 409: words.busy }[response.status] || words.broken;
                return;
            }
            let end = words.broken;
            let begun = false;
            for await (const event of events(response)) {
                // Until something has run, the recorded run stays.
                if (event.event === "call" && !begun) {
                    begun = true;
                    place.player?.dispatchEvent(new Event("live-begin"));
                }
                shown[event.event]?.(event, place.list, place.player);
                if (event.event === "done") {
                    end = words.ran.replace("{passed}", event.passed).replace("{failed}", event.failed);
                }
                if (event.event === "error") end = words.broken;
            }
            place.status.textContent = end;
        } catch (error) {
            place.status.textContent = error.name === "AbortError" ? words.stopped : words.broken;
        } finally {
            place.player?.dispatchEvent(new Event("live-end"));
            learning = learn(place.token);
        }
    }

    function offer(recorded, known) {
        const box = element("div", "live");
        const place = {
            token: known,
            player: document.getElementById(`play-step-${recorded.dataset.step}`),
            status: element("p", "status"),
            list: element("ol"),
            stop: element("button", "", words.stop),
        };
        place.status.setAttribute("role", "status");
        place.stop.hidden = true;
        const start = element("button", "", words.runhere);
        start.addEventListener("click", async () => {
            start.disabled = true;
            place.stop.hidden = false;
            await run(recorded.dataset.step, place);
            start.disabled = false;
            place.stop.hidden = true;
        });
        box.append(start, place.stop, place.status, place.list);
        if (place.player) place.player.append(box);
        else recorded.after(box);
    }

    function offerAll() {
        const known = token();
        if (!known) return;
        document.querySelectorAll(".live").forEach((offered) => offered.remove());
        document.querySelectorAll("pre.run[data-step]").forEach((recorded) => offer(recorded, known));
        learning = learn(known);
    }

    if (location.protocol === "file:") return;
    offerAll();
    // Whoever pastes the printed address while the page is open stays on it.
    addEventListener("hashchange", () => location.hash.includes("token=") && offerAll());
})();
