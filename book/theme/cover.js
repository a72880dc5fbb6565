// Plays the recorded run on the first page, line by line. It can be stopped, and stands still for who wants no movement.

(() => {
    "use strict";
    const words = window.bookWords;
    const box = document.querySelector(".cover-run");
    if (!box) return;

    // Milliseconds until the next line: a call takes longer to read than a line of what it says.
    const LINE = 140;
    const CALL = 900;

    const screen = box.querySelector("pre");
    const lines = [...box.querySelectorAll(".line")];
    const button = document.createElement("button");
    button.type = "button";
    button.className = "cover-play";
    box.append(button);

    let shown = lines.length;
    let timer = 0;

    function say() {
        button.textContent = timer ? words.pause : words.play;
    }

    function show(count) {
        shown = count;
        lines.forEach((line, n) => line.classList.toggle("coming", n >= count));
        screen.scrollTop = screen.scrollHeight;
    }

    function step() {
        show(shown + 1);
        const isCall = /^ *(?:\S+ +)?[│┃] +\d+ /.test(lines[shown]?.textContent ?? "");
        timer = shown < lines.length ? setTimeout(step, isCall ? CALL : LINE) : 0;
        say();
    }

    function stop() {
        clearTimeout(timer);
        timer = 0;
        say();
    }

    function play() {
        if (shown >= lines.length) show(0);
        step();
    }

    button.addEventListener("click", () => (timer ? stop() : play()));
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) say();
    else play();
})();
