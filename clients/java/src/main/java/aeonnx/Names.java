package aeonnx;

import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.net.URI;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.Charset;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/**
 * Names of files, and texts to show. Java decodes names by the locale, and loses what is not ASCII
 * where that is POSIX; a file's URI has its bytes in every locale.
 */
final class Names {
    private static final String LOST = "\ufffd"; // what a byte becomes that the locale does not know
    private static final String HERE = "/proc/self/";
    private static final boolean FOLDER_IS_LOST = isLost(System.getProperty("user.dir"));

    private Names() {}

    /** The path of a name, which is UTF-8 where the locale's encoding does not have it. */
    static Path path(String name) {
        if (!FOLDER_IS_LOST) {
            try {
                return Path.of(name);
            } catch (InvalidPathException error) {
                // told below, if it has no bytes either
            }
        }
        return at(name.startsWith("/") ? "" : raw(workingFolder()) + "/", encoded(name), name);
    }

    /** A name inside a folder. */
    static Path inside(Path folder, String name) {
        try {
            return folder.resolve(name);
        } catch (InvalidPathException error) {
            return at(raw(folder) + "/", encoded(name), name);
        }
    }

    /** The file beside another that is called after it. */
    static Path beside(Path path, String before, String after) {
        String whole = raw(path);
        int name = whole.lastIndexOf('/') + 1;
        return at(whole.substring(0, name), before + whole.substring(name) + after, text(path));
    }

    /** A path as people write it. */
    static String text(Path path) {
        if (!isLost(path.toString())) {
            return path.toString();
        }
        ByteBuffer bytes = StandardCharsets.ISO_8859_1.encode(decoded(raw(path)));
        return StandardCharsets.UTF_8.decode(bytes).toString();
    }

    /**
     * What a program was called with, in full: the system has the bytes that the locale lost.
     *
     * @throws AeonnxException they are not UTF-8, or this system does not tell them
     */
    static List<String> arguments(String[] given) {
        List<String> words = new ArrayList<>(List.of(given));
        if (words.stream().noneMatch(Names::isLost)) {
            return words;
        }
        String encoding = System.getProperty("sun.jnu.encoding");
        try {
            String line = Files.readString(Path.of(HERE + "cmdline"), StandardCharsets.ISO_8859_1);
            String[] all = line.split("\0", -1); // ends with one
            for (int i = 0; i < given.length; i++) {
                byte[] bytes = all[all.length - 1 - given.length + i]
                        .getBytes(StandardCharsets.ISO_8859_1);
                if (!new String(bytes, encoding).equals(given[i])) {
                    throw new IOException("it is another line");
                }
                words.set(i, StandardCharsets.UTF_8.newDecoder()
                        .decode(ByteBuffer.wrap(bytes)).toString());
            }
            return words;
        } catch (CharacterCodingException error) {
            throw new AeonnxException("a name of a file is not UTF-8: rename it");
        } catch (IOException | RuntimeException error) {
            throw new AeonnxException("the encoding of this locale, " + encoding
                    + ", does not have the name of a file: set LC_ALL=C.UTF-8");
        }
    }

    /** Called before anything else: messages are UTF-8 where the locale has ASCII only. */
    static void prepare() {
        if (FOLDER_IS_LOST) {
            System.setProperty("user.dir", "/"); // ImageIO stops at one that is no path
        }
        String encoding = System.getProperty("native.encoding", Charset.defaultCharset().name());
        if (Charset.forName(encoding).equals(StandardCharsets.US_ASCII)) {
            System.setOut(utf8(FileDescriptor.out));
            System.setErr(utf8(FileDescriptor.err));
        }
    }

    /** On one line, with what is not seen, such as control characters, as \xNN or \\uNNNN. */
    static String printable(String text) {
        StringBuilder line = new StringBuilder();
        text.codePoints().forEach(code -> {
            int type = Character.getType(code);
            boolean unseen = type == Character.CONTROL || type == Character.FORMAT
                    || type == Character.SURROGATE || type == Character.LINE_SEPARATOR
                    || type == Character.PARAGRAPH_SEPARATOR;
            if (unseen) {
                line.append(String.format(code < 0x100 ? "\\x%02x" : "\\u%04x", code));
            } else {
                line.appendCodePoint(code);
            }
        });
        return line.toString();
    }

    private static PrintStream utf8(FileDescriptor to) {
        return new PrintStream(new FileOutputStream(to), true, StandardCharsets.UTF_8);
    }

    private static boolean isLost(String name) {
        return name.contains(LOST);
    }

    private static Path workingFolder() {
        try {
            return Files.readSymbolicLink(Path.of(HERE + "cwd"));
        } catch (IOException | UnsupportedOperationException error) {
            return Path.of("").toAbsolutePath();
        }
    }

    private static Path at(String folder, String name, String text) {
        try {
            return Path.of(URI.create("file://" + folder + name));
        } catch (IllegalArgumentException error) {
            throw new AeonnxException("this system has no files called " + text);
        }
    }

    // A path, each byte that is more than a plain letter as %XX; without a slash at the end.
    private static String raw(Path path) {
        String raw = path.toUri().getRawPath();
        return raw.length() > 1 && raw.endsWith("/") ? raw.substring(0, raw.length() - 1) : raw;
    }

    private static String encoded(String name) {
        StringBuilder raw = new StringBuilder();
        for (byte value : name.getBytes(StandardCharsets.UTF_8)) {
            raw.append(value == '/' ? "/" : String.format("%%%02X", value));
        }
        return raw.toString();
    }

    private static String decoded(String raw) {
        StringBuilder bytes = new StringBuilder();
        for (int i = 0; i < raw.length(); i++) {
            if (raw.charAt(i) == '%') {
                bytes.append((char) Integer.parseInt(raw.substring(i + 1, i + 3), 16));
                i += 2;
            } else {
                bytes.append(raw.charAt(i));
            }
        }
        return bytes.toString();
    }
}
