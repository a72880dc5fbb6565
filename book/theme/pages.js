// What the book's pages do besides showing text: questions, the other language, folds, printing. Nothing is loaded
// from elsewhere, and all of it works from a local disk. The words come from book/LANG/words.toml (window.bookWords).

(() => {
    "use strict";
    const words = window.bookWords;

    // --- Questions ---------------------------------------------------------------------------------------------

    // FNV-1a, as in book/builder/src/expand/quiz.rs: the page holds a sum in place of the right answer.
    function sum(text) {
        let value = 0x811c9dc5;
        for (const byte of new TextEncoder().encode(text)) {
            value = Math.imul(value ^ byte, 0x01000193) >>> 0;
        }
        return value.toString(16).padStart(8, "0");
    }

    function judge(quiz, input) {
        const right = sum(`${input.name}/${input.value}`) === quiz.dataset.key;
        const verdict = quiz.querySelector(".verdict");
        verdict.textContent = right ? words.right : words.wrong;
        verdict.className = `verdict ${right ? "right" : "wrong"}`;
        input.closest("label").classList.add(right ? "right" : "wrong");
        if (right) {
            quiz.classList.add("answered");
            quiz.querySelector(".why").open = true;
            document.dispatchEvent(new CustomEvent("book-answered", { detail: input.name }));
        }
    }

    for (const quiz of document.querySelectorAll(".quiz")) {
        // Arrow keys move through radio buttons and choose at once; only Enter, space or a click is an answer.
        let byArrow = false;
        quiz.addEventListener("keydown", (event) => {
            byArrow = event.key.startsWith("Arrow");
            // mdBook would turn the page.
            if (byArrow) event.stopPropagation();
            if ((event.key === "Enter" || event.key === " ") && event.target.checked) judge(quiz, event.target);
        });
        quiz.addEventListener("change", (event) => {
            if (!byArrow) judge(quiz, event.target);
            byArrow = false;
        });
    }

    // --- The other language ------------------------------------------------------------------------------------

    // Headings have the same fragments in every language.
    for (const link of document.querySelectorAll("a.book-language")) {
        link.addEventListener("click", () => {
            link.hash = location.hash;
        });
    }

    // --- Folds -------------------------------------------------------------------------------------------------

    // `workshop check` links to a check's heading. What one follows that link for is in the fold below it; other headings
    // are in a fold themselves.
    function openLinked() {
        const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
        for (let fold = target?.closest("details"); fold; fold = fold.parentElement.closest("details")) fold.open = true;
        for (let next = target?.nextElementSibling; next && !/^H[1-6]$/.test(next.tagName); next = next.nextElementSibling) {
            if (next.matches("details.causes")) next.open = true;
        }
    }
    window.addEventListener("hashchange", openLinked);
    openLinked();

    // --- Printing ----------------------------------------------------------------------------------------------

    // Paper has no folds to open: all are, but what gives a solution away. Answers stand at the end of the page.
    const closed = [];
    addEventListener("beforeprint", () => {
        for (const fold of document.querySelectorAll("main details")) {
            const open = !fold.matches(".why, .solution, .hint");
            if (fold.open !== open) closed.push(fold);
            fold.open = open;
        }
    });
    addEventListener("afterprint", () => {
        for (const fold of closed.splice(0)) fold.open = !fold.open;
    });
    if (document.body.classList.contains("is-print")) addEventListener("load", () => setTimeout(() => print(), 100));
})();
