# Prints the targets and variables of a Makefile with what the lines above them that begin with ## say, and the values that
# variables have when nobody sets them.
function wrap(name, text,    words, count, line, i) {
  count = split(text, words, " ")
  line = sprintf("  %-21s", name)
  for (i = 1; i <= count; i++) {
    if (length(line) + 1 + length(words[i]) > 100) {
      print line
      line = sprintf("  %-21s", "")
    }
    line = line " " words[i]
  }
  print line
}
/^## / { text = text (text == "" ? "" : " ") substr($0, 4); next }
text != "" && /^[A-Za-z_]+ *[?:]?=/ {
  name = $1
  value = $0
  sub(/^[A-Za-z_]+ *[?:]?= */, "", value)
  # A value that is worked out is said by the text.
  variables[++variable_count] = name
  about[name] = text (value == "" || value ~ /\$/ ? "" : " [" value "]")
}
text != "" && /^[a-z_]+:/ {
  split($0, parts, ":")
  targets[++target_count] = parts[1]
  about[parts[1]] = text
}
{ text = "" }
END {
  print "Targets:"
  for (i = 1; i <= target_count; i++) wrap(targets[i], about[targets[i]])
  print "\nVariables (make NAME=value ...):"
  for (i = 1; i <= variable_count; i++) wrap(variables[i], about[variables[i]])
}
