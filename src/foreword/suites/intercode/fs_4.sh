printf 'a note\n' | write "$HOME/note.txt"
settle "$HOME"
