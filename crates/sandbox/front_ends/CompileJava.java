import com.sun.source.util.JavacTask;
import com.sun.source.util.TaskEvent;
import com.sun.source.util.TaskListener;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.io.StringWriter;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.LocalDateTime;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.jar.Attributes;
import java.util.jar.Manifest;
import java.util.regex.Pattern;
import java.util.zip.CRC32;
import java.util.zip.ZipEntry;
import java.util.zip.ZipOutputStream;

import javax.lang.model.element.ExecutableElement;
import javax.lang.model.element.Modifier;
import javax.lang.model.element.TypeElement;
import javax.lang.model.element.VariableElement;
import javax.lang.model.type.TypeKind;
import javax.lang.model.util.ElementFilter;
import javax.lang.model.util.Elements;
import javax.tools.FileObject;
import javax.tools.ForwardingJavaFileManager;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileManager;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.StandardJavaFileManager;
import javax.tools.StandardLocation;
import javax.tools.ToolProvider;

/**
 * Compiles Main.java and packs main.jar, in one JVM. The names of the classes are free: the manifest names the class
 * with the main method. The JVM runs this file from its source, so a machine needs a JDK and nothing else.
 */
public final class CompileJava {
    /** Nested expressions make the compiler recurse. Only what it uses of the stack counts as memory. */
    private static final long STACK_BYTES = 64L << 20;

    /** The option that hides all modules but java.base, which is enough for most programs and faster. */
    private static final List<String> BASE_MODULE = List.of("--limit-modules", "java.base");
    /** Matches sources that may declare a package, whose name must not be that of a hidden one. */
    private static final Pattern MAY_DECLARE_PACKAGE = Pattern.compile("\\bpackage\\b|\\\\u");
    /** Matches messages that a hidden package or module may have caused. */
    private static final Pattern MAY_MISS_MODULE = Pattern.compile("\\b(package|module)\\b");

    public static void main(String[] args) throws InterruptedException {
        int[] exitCode = {1};
        Thread compiler = new Thread(null, () -> exitCode[0] = compile(), "compiler", STACK_BYTES);
        compiler.start();
        compiler.join();
        System.exit(exitCode[0]);
    }

    private static int compile() {
        try {
            return compile(Path.of("Main.java"), Path.of("main.jar"));
        } catch (IOException error) {
            System.err.println("error: " + error);
            return 1;
        }
    }

    private static int compile(Path source, Path jar) throws IOException {
        String text = new String(Files.readAllBytes(source), StandardCharsets.UTF_8);
        boolean hidesModules = !MAY_DECLARE_PACKAGE.matcher(text).find();
        Source file = new Source(source, text);
        Compilation compilation = new Compilation(file, hidesModules ? BASE_MODULE : List.of());
        if (hidesModules && !compilation.isSuccess && MAY_MISS_MODULE.matcher(compilation.messages).find()) {
            compilation = new Compilation(file, List.of());
        }
        System.err.print(withoutTrace(compilation.messages));
        if (!compilation.isSuccess) {
            return 1;
        }
        if (compilation.mainClass == null) {
            System.err.println("error: no class has a method `public static void main(String[] args)`");
            return 1;
        }
        compilation.classes.pack(compilation.mainClass, jar);
        return 0;
    }

    /** One attempt to compile the source. */
    private static final class Compilation {
        final boolean isSuccess;
        final String messages;
        final ClassFiles classes;
        /** The name of the class whose main method is run; null if there is none. */
        final String mainClass;

        Compilation(Source source, List<String> moduleOptions) throws IOException {
            JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
            StandardJavaFileManager files = compiler.getStandardFileManager(null, null, null);
            files.setLocation(StandardLocation.CLASS_PATH, List.of());
            classes = new ClassFiles(files);
            List<String> options = new ArrayList<>(List.of("-proc:none", "-implicit:none"));
            options.addAll(moduleOptions);
            StringWriter written = new StringWriter();
            JavacTask task = (JavacTask) compiler.getTask(written, classes, null, options, null, List.of(source));
            MainClass found = new MainClass(task.getElements());
            task.addTaskListener(found);
            isSuccess = task.call();
            messages = written.toString();
            mainClass = found.name;
        }
    }

    /** The messages, with a sentence in place of the stack trace of a compiler that failed. */
    private static String withoutTrace(String messages) {
        if (!messages.contains("\n\tat jdk.compiler/")) {
            return messages;
        }
        if (messages.contains("java.lang.StackOverflowError")) {
            return "error: the program is nested too deeply for the compiler\n";
        }
        if (messages.contains("java.lang.OutOfMemoryError")) {
            return "error: the program is too large for the compiler\n";
        }
        return "error: the compiler itself failed on this program\n";
    }

    /** The source, whose public class may have any name. */
    private static final class Source extends SimpleJavaFileObject {
        private final Path path;
        private final String text;

        Source(Path path, String text) {
            super(path.toUri(), Kind.SOURCE);
            this.path = path;
            this.text = text;
        }

        @Override
        public CharSequence getCharContent(boolean ignoreEncodingErrors) {
            return text;
        }

        @Override
        public String getName() {
            return path.toString();
        }

        @Override
        public boolean isNameCompatible(String simpleName, Kind kind) {
            return kind == Kind.SOURCE;
        }
    }

    /** The class files, kept in memory. */
    private static final class ClassFiles extends ForwardingJavaFileManager<JavaFileManager> {
        /** Any time that a jar can have: for the current one, Java reads its database of time zones. */
        private static final LocalDateTime FILE_TIME = LocalDateTime.of(2000, 1, 1, 0, 0);

        private final Map<String, ByteArrayOutputStream> contents = new LinkedHashMap<>();

        ClassFiles(JavaFileManager files) {
            super(files);
        }

        @Override
        public JavaFileObject getJavaFileForOutput(
                Location location, String className, JavaFileObject.Kind kind, FileObject sibling) {
            ByteArrayOutputStream content = new ByteArrayOutputStream();
            contents.put(className.replace('.', '/') + kind.extension, content);
            return new SimpleJavaFileObject(URI.create("class:/"), kind) {
                @Override
                public OutputStream openOutputStream() {
                    return content;
                }
            };
        }

        /** Writes a jar without compression, which is faster to write and to read. */
        void pack(String mainClass, Path jar) throws IOException {
            Manifest manifest = new Manifest();
            manifest.getMainAttributes().put(Attributes.Name.MANIFEST_VERSION, "1.0");
            manifest.getMainAttributes().put(Attributes.Name.MAIN_CLASS, mainClass);
            ByteArrayOutputStream manifestFile = new ByteArrayOutputStream();
            manifest.write(manifestFile);
            try (ZipOutputStream out = new ZipOutputStream(Files.newOutputStream(jar))) {
                out.setMethod(ZipOutputStream.STORED);
                store(out, "META-INF/MANIFEST.MF", manifestFile);
                for (Map.Entry<String, ByteArrayOutputStream> file : contents.entrySet()) {
                    store(out, file.getKey(), file.getValue());
                }
            }
        }

        private static void store(ZipOutputStream out, String name, ByteArrayOutputStream content)
                throws IOException {
            byte[] bytes = content.toByteArray();
            CRC32 checksum = new CRC32();
            checksum.update(bytes);
            ZipEntry entry = new ZipEntry(name);
            entry.setTimeLocal(FILE_TIME);
            entry.setSize(bytes.length);
            entry.setCrc(checksum.getValue());
            out.putNextEntry(entry);
            out.write(bytes);
        }
    }

    /**
     * Finds the class whose main method is run: the public class of the source, or else the first class that has one.
     * Nested classes come last.
     */
    private static final class MainClass implements TaskListener {
        /** From this version on, main need not be static or public or have parameters. */
        private static final int SIMPLE_MAIN_VERSION = 25;

        private final Elements elements;
        private String name;
        /** How well the class found so far qualifies: 0 is best. */
        private int rank = Integer.MAX_VALUE;

        MainClass(Elements elements) {
            this.elements = elements;
        }

        @Override
        public void finished(TaskEvent event) {
            if (event.getKind() == TaskEvent.Kind.ANALYZE && event.getTypeElement() != null) {
                TypeElement type = event.getTypeElement();
                consider(type, type.getModifiers().contains(Modifier.PUBLIC) ? 0 : 1);
            }
        }

        private void consider(TypeElement type, int typeRank) {
            if (typeRank < rank && hasMain(type)) {
                name = elements.getBinaryName(type).toString();
                rank = typeRank;
            }
            ElementFilter.typesIn(type.getEnclosedElements()).forEach(nested -> consider(nested, 2));
        }

        private boolean hasMain(TypeElement type) {
            return ElementFilter.methodsIn(elements.getAllMembers(type)).stream().anyMatch(MainClass::isMain);
        }

        private static boolean isMain(ExecutableElement method) {
            List<? extends VariableElement> parameters = method.getParameters();
            boolean takesArguments =
                parameters.size() == 1 && parameters.get(0).asType().toString().equals("java.lang.String[]");
            boolean isVoid = method.getReturnType().getKind() == TypeKind.VOID;
            if (!method.getSimpleName().contentEquals("main") || !isVoid) {
                return false;
            }
            if (Runtime.version().feature() >= SIMPLE_MAIN_VERSION) {
                return (takesArguments || parameters.isEmpty()) && !method.getModifiers().contains(Modifier.PRIVATE);
            }
            return takesArguments && method.getModifiers().containsAll(List.of(Modifier.PUBLIC, Modifier.STATIC));
        }
    }
}
