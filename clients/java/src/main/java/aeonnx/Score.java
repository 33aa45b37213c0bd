package aeonnx;

import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Locale;

/** The verb `score`: pictures, or the rows of .npy files, to a table. */
final class Score {
    private static final String HEAD = "name,score,percentile,verdict\n";

    private Score() {}

    /**
     * Score all files, then write the table.
     *
     * @param threshold see `Bundle.score`
     * @param label of all rows; null for none
     * @param to the table's file; null for stdout
     * @throws AeonnxException the bundle has no scorer for this threshold and label, a file is none of
     *     its pictures or arrays, or the table cannot be written
     */
    static void score(Bundle bundle, List<String> files, String threshold, Long label,
            Path to, boolean force) {
        Part part = bundle.scorer();
        double limit = Scorer.threshold(part.variant, threshold);
        Verb.requireLabel("scorer", part.variant, label);
        if (to != null) {
            Output.require(to, force);
        }
        StringBuilder table = new StringBuilder(HEAD);
        for (String file : files) {
            Path path = Names.path(file);
            boolean array = isArray(part.variant, path);
            Tensor x = array ? Scorer.rows(part.variant, Npy.read(path)) : picture(part, path);
            Scored found = Scorer.score(part, x, limit, label);
            for (int row = 0; row < found.scores().length; row++) {
                String name = !array ? file : files.size() == 1 ? row + "" : file + ":" + row;
                table.append(line(to == null ? Names.printable(name) : name, found, row));
            }
        }
        if (to != null) {
            Output.write(to, table.toString().getBytes(StandardCharsets.UTF_8), force);
            return;
        }
        System.out.print(table);
        if (System.out.checkError()) {
            throw new AeonnxException("cannot write the scores to stdout");
        }
    }

    /** The file of a table. */
    static Path table(String name) {
        if (!name.toLowerCase(Locale.ROOT).endsWith(".csv")) {
            throw new AeonnxException(2, name + ": expected a name that ends in .csv");
        }
        return Names.path(name);
    }

    /** A row of the table. */
    static String line(String name, Scored found, int row) {
        double percentile = found.percentiles()[row];
        return String.join(",", quoted(name), number(Float.toString(found.scores()[row])),
                Double.isNaN(percentile) ? "" : number(Double.toString(percentile)),
                found.odd()[row] ? "odd" : "normal") + "\n";
    }

    // As RFC 4180 says.
    private static String quoted(String text) {
        boolean plain = text.chars().noneMatch(letter -> ",\"\r\n".indexOf(letter) >= 0);
        return plain ? text : '"' + text.replace("\"", "\"\"") + '"';
    }

    // What is not finite in the words of most languages.
    private static String number(String text) {
        return text.replace("Infinity", "inf").replace("NaN", "nan");
    }

    /**
     * Whether a file is to be read as an array: it is one, or the scorer takes no pictures.
     *
     * @throws AeonnxException it is a folder, or another file where the scorer takes no pictures
     */
    static boolean isArray(Variant variant, Path path) {
        TensorSpec input = variant.inputs().get(0);
        boolean pictures = Verb.takesPictures(input);
        String name = Names.text(path);
        if (Files.isDirectory(path)) {
            throw new AeonnxException(name + " is a folder: name the "
                    + (pictures ? "pictures in it, such as " + name + "/*.png"
                            : "arrays in it, such as " + name + "/*.npy"));
        }
        boolean array = Npy.isArray(path);
        if (!array && !pictures && Files.isRegularFile(path)) {
            throw new AeonnxException(name + ": this scorer takes " + Verb.shape(input)
                    + ": give a .npy file of rows");
        }
        return array || !pictures; // what cannot be read is told of by its reader
    }

    private static Tensor picture(Part part, Path path) {
        Tensor pixels = Picture.read(path, part.picture());
        return Scorer.fromPixels(part.variant, pixels).orElseThrow(); // it is of the input's shape
    }
}
